"""Dates of publication, one by one from feeds or as a column from archives: never guessed.

feedparser reads a missing or unknown time zone as UTC without a word, which moves a headline by up
to a day. So the raw string is read here, and a string that does not name an instant is refused.
What the column reader (`headline_dates` in SQL) takes for an instant, the scalar reader takes for
the same one; it knows more spellings, checks weekdays and cuts fractions of seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archive_file import ArchiveError
from warehouse.lake.scratch import Scratch

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No web feed carried a headline before this instant; an older date is a mistake."""

MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

NAMED_ZONES = {
    **dict.fromkeys(("z", "ut", "utc", "gmt"), 0),
    **dict.fromkeys(("edt",), -4),
    **dict.fromkeys(("est", "cdt"), -5),
    **dict.fromkeys(("cst", "mdt"), -6),
    **dict.fromkeys(("mst", "pdt"), -7),
    **dict.fromkeys(("pst",), -8),
}
"""Hours east of UTC of the zones RFC 822 names (and UTC); any other name is unknown."""

_RFC822 = re.compile(
    r"(?:(?P<weekday>[a-z]{3})[a-z]*\.?,?\s+)?"
    r"(?P<day>\d{1,2})[\s-]+(?P<month>[a-z]{3})[a-z]*\.?[\s-]+(?P<year>\d{4}|\d{2})\s+"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?\s*(?P<zone>\S.*)?",
    re.IGNORECASE | re.ASCII,
)
_ISO8601 = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})[T\s]\s*"
    r"(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<zone>\S.*)?",
    re.IGNORECASE | re.ASCII,
)
_OFFSET = re.compile(r"(?:gmt|utc)?(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?", re.ASCII)
_FURTHEST_OFFSET = timedelta(hours=14)
_UTC = pa.timestamp("us", tz="UTC")


class DateRefusedError(ValueError):
    """The text does not name one instant; the message is the reason, fit for a quarantine row."""


def parse_published(text: str | None) -> datetime:
    """The UTC instant that a feed's date string names, to the second.

    Understands RFC 822/2822 dates and ISO 8601 / RFC 3339 with a time of day and a zone. Raises
    DateRefusedError for anything else: nothing is guessed and nothing defaults to now.
    """
    raw = (text or "").strip()
    if not raw:
        raise DateRefusedError("undated")
    match = _RFC822.fullmatch(raw) or _ISO8601.fullmatch(raw)
    if match is None:
        raise DateRefusedError("date not understood")
    zone = _zone(match["zone"])
    try:
        local = datetime(
            _year(match["year"]),
            _month(match["month"]),
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"] or 0),
            tzinfo=zone,
        )
        instant = local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DateRefusedError("date impossible") from error
    weekday = match.groupdict().get("weekday")
    if weekday and weekday.lower() != WEEKDAYS[local.weekday()]:
        raise DateRefusedError("date impossible: its weekday is another one")
    return instant


def read_date_column(
    column: pa.Array, zone: str | None, date_format: str | None, engine: Scratch
) -> tuple[pa.Array, pa.Array]:
    """The UTC instant of each row (null: none), and whether all it lacks is a zone.

    `column` holds timestamps, or texts in ISO 8601, RFC 822 or the strptime `date_format`. `zone`
    is the IANA zone of those that name none; an hour that a clock change repeats or skips is read
    as the later of the two instants. Raises ArchiveError for a column of another type.
    """
    if pa.types.is_timestamp(column.type):
        if column.type.tz is not None:
            return column.cast(_UTC), _falses(column)
        return _localised(column.cast(pa.timestamp("us")), zone)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ArchiveError(
            f"The column of dates holds {column.type}; expected timestamps, or texts with a date "
            "and a time of day."
        )
    position = pa.array(range(len(column)), pa.int64())
    dated = pa.table({"position": position, "published": column.cast(pa.string())})
    params = {"format": date_format, "format_has_zone": "%z" in (date_format or "")}
    read = engine.read("headline_dates", params, dated=dated)
    wall, zoneless = _localised(read["wall"].combine_chunks(), zone)
    return pc.coalesce(read["instant"].combine_chunks().cast(_UTC), wall), zoneless


def _localised(wall: pa.Array, zone: str | None) -> tuple[pa.Array, pa.Array]:
    if zone is None:
        return pa.nulls(len(wall), _UTC), wall.is_valid()
    instants = pc.assume_timezone(wall, zone, ambiguous="latest", nonexistent="latest")
    return instants.cast(_UTC), _falses(wall)


def _falses(like: pa.Array) -> pa.Array:
    return pa.repeat(pa.scalar(False), len(like))


def _zone(text: str | None) -> timezone:
    if text is None:
        raise DateRefusedError("date without a time zone")
    # "GMT+0000 (Coordinated Universal Time)" repeats itself in a comment.
    name = re.sub(r"\s*\([^()]*\)$", "", text).strip().lower()
    if name in NAMED_ZONES:
        return timezone(timedelta(hours=NAMED_ZONES[name]))
    match = _OFFSET.fullmatch(name)
    if match is None:
        raise DateRefusedError("date with an unknown time zone")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    if offset > _FURTHEST_OFFSET or int(match["minutes"] or 0) > 59:
        raise DateRefusedError("date with an unknown time zone")
    return timezone(offset if match["sign"] == "+" else -offset)


def _year(text: str) -> int:
    year = int(text)
    # RFC 2822, section 4.3: two digits up to 49 belong to this century.
    return year if len(text) == 4 else year + (2000 if year < 50 else 1900)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else MONTHS.get(text.lower(), 0)
