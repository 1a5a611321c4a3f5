"""Pages for people: what came in, what was learned, and how much of it may be believed."""
