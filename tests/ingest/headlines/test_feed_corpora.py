"""Real feeds, well-formed and not: each is read or refused with a reason, no date is invented."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tasks.ingest.headlines.parsing import FeedParseError, ParsedFeed, parse_feed

_DATES = re.compile(
    r"\d{1,2} [A-Z][a-z]{2,8} \d{2,4} \d{1,2}:\d{2}(?::\d{2})? ?(?:[A-Z]{1,4}|[+-]\d{2}:?\d{2})"
    r"|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})"
)


@pytest.fixture(scope="session")
def corpora(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "recorded" / "rss_corpora").rglob("*.xml"))


def read(path: Path) -> ParsedFeed | FeedParseError:
    try:
        return parse_feed(path.read_bytes())
    except FeedParseError as refusal:
        return refusal


def dates_written_in(body: bytes) -> set[datetime]:
    """Every instant that the document spells out anywhere, read by the standard library."""
    found = set()
    for encoding in ("utf-8", "utf-16", "utf-32"):
        for text in _DATES.findall(body.decode(encoding, "replace")):
            with suppress(ValueError):
                iso = text[:4].isdigit()
                instant = datetime.fromisoformat(text) if iso else parsedate_to_datetime(text)
                if instant.tzinfo is not None:
                    found.add(instant.astimezone(UTC).replace(microsecond=0))
    return found


@pytest.mark.shared_data
def test_every_real_feed_is_read_or_refused_with_a_reason(corpora: list[Path]) -> None:
    outcomes = {path: read(path) for path in corpora}
    parsed = [feed for feed in outcomes.values() if isinstance(feed, ParsedFeed)]
    assert len(corpora) == len(outcomes) == 150
    assert len(parsed) == 149
    assert sum(len(feed.items) for feed in parsed) == 970
    reasons = Counter(refused.reason for feed in parsed for refused in feed.refused)
    assert reasons == {"undated": 144, "no title": 46, "date with an unknown time zone": 1}


@pytest.mark.shared_data
def test_no_date_is_invented(corpora: list[Path]) -> None:
    checked = 0
    for path in corpora:
        feed = read(path)
        items = feed.items if isinstance(feed, ParsedFeed) else ()
        written = dates_written_in(path.read_bytes()) if items else set()
        for item in items:
            assert item.published_at in written, (path.name, item)
            checked += 1
    assert checked == 970


@pytest.mark.shared_data
def test_rss_0_9x_1_0_2_0_and_atom_are_all_read(corpora: list[Path]) -> None:
    found = (read(path) for path in corpora)
    versions = {feed.version for feed in found if isinstance(feed, ParsedFeed) and feed.items}
    assert {"rss091u", "rss10", "rss20", "atom10"} <= versions
