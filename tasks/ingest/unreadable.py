"""What an answer did to whoever read it, in one line that any table can hold."""

from __future__ import annotations

LONGEST = 500
"""Characters of an error's words that are kept."""


def in_one_line(error: Exception) -> str:
    """The kind of an error and how its words begin; half a character of an answer is none."""
    words = " ".join(str(error).encode("utf-8", "replace").decode().split())
    return f"{type(error).__name__}: {words[:LONGEST]}"
