"""HTTP: bounded fetching from untrusted hosts."""
