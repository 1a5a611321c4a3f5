"""Storage: bytes under names, in folders and buckets."""
