"""Coverage-guided fuzzing of the feed path; optional, needs `pip install atheris`.

Run `python tests/ingest/fuzz/feeds.py -max_total_time=60 [CORPUS_DIR]`. Ends with a traceback and
the offending input when anything but FeedParseError escapes, or an item gets through unclean.
"""

from __future__ import annotations

import html
import sys

import atheris

with atheris.instrument_imports(include=["tasks.ingest", "feedparser"]):
    import feedparser  # noqa: F401 - instrumented here, used by the parser

    from tasks.ingest.headlines.parsing import FeedParseError, parse_feed


def read_one(body: bytes) -> None:
    """Parse `body` and check every item it yields."""
    try:
        feed = parse_feed(body)
    except FeedParseError:
        return
    for item in feed.items:
        assert item.title, "an item without words"
        assert item.title.isprintable(), ascii(item.title)
        assert html.unescape(item.title) == item.title, ascii(item.title)
        assert item.published_at.tzinfo is not None


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
