"""Ingest: vendors and archives fetched, landed, parsed, validated; batches of rows come out."""
