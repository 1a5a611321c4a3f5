"""Witnesses: copies of the hash chain where the owner of the warehouse cannot rewrite them."""
