"""Features: columns of the user's own, read from files and databases with the time each was known."""
