"""Public benchmarks of stock movement prediction, read and labelled by the literature's rules."""
