"""Features: columns of the user's own, from files and databases, with when each was known."""
