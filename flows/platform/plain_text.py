"""Words of strangers, made harmless for whatever renders an artifact: HTML, Markdown or a table."""

from __future__ import annotations

import re

LONGEST = 400
_INERT = str.maketrans({"<": "‹", ">": "›", "`": "'", "|": "¦", "[": "(", "]": ")", "!": "."})
_SCHEME = re.compile(r"\b(\w+)://|\b(javascript|data|vbscript):", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def plain(text: str) -> str:
    """One line of at most LONGEST characters in which nothing is a tag, a link or a command."""
    line = _CONTROL.sub(" ", text).translate(_INERT)
    line = _SCHEME.sub(lambda found: f"{found[1] or found[2]}∶", line).strip()
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
