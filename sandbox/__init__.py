"""A loopback vendor with its own markets and newswire, and faults on demand."""
