"""The site: static pages on the forward record, the data and the models."""
