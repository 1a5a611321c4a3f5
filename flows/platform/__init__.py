"""Prefect: how our runs are served, named, retried, and shown."""
