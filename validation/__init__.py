"""The gate: great-expectations suites over batches. A table goes in, a report comes out."""
