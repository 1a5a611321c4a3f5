"""The composition root: what runs, in which order, on which schedule."""
