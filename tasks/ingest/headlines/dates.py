"""Dates of publication, one by one from feeds or as a column from archives: never guessed.

There is one grammar, that of `parse_published`. `read_date_column` reads the commonest spellings of
a column in SQL (`headline_dates`) and hands every other one to it, once for each distinct text.
A date without a time of day is a day and no instant; which days are days although a time of day is
written beside them, `observations_dated` in SQL decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archive_file import ArchiveError
from warehouse.lake.scratch import Scratch

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No web feed carried a headline before this instant; an older date is a mistake."""

Granularity = Literal["second", "minute", "day"]
DeclaredGranularity = Literal["detect", "second", "minute", "day"]
"""What stamps are good for: as a source is known to write them, or as its stamps show."""

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

_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?(?![a-z]))?\s*(?P<zone>\S.*)?"
)
_WEEKDAY = r"(?:(?P<weekday>[^\W\d_]{2,})\.?(?:,\s*|\s+))?"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_GRAMMAR = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # RFC 822 and 2822
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s-]+(?P<month>[^\W\d_]+)\.?[\s-]+{_YEAR}(?:,?\s+{_TIME})?",
        # ISO 8601 and RFC 3339
        rf"(?P<year>\d{{4}})([-/])(?P<month>\d{{2}})\2(?P<day>\d{{2}})(?:[T\s]\s*{_TIME})?",
        # the month first, as American pages have it
        rf"{_WEEKDAY}(?P<month>[^\W\d_]{{3,}})\.?\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})"
        rf"(?:,?\s+(?:at\s+)?{_TIME})?",
        # the year last, as C and Twitter have it
        rf"{_WEEKDAY}(?P<month>[^\W\d_]{{3,}})\s(?P<day>\d{{1,2}})\s(?P<hour>\d{{1,2}}):"
        r"(?P<minute>\d{2}):(?P<second>\d{2})(?:\s(?P<zone>[^\s\d]\S*))?\s(?P<year>\d{4})",
        # ISO 8601 without separators
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
        r"(?:[T\s]?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?:\.\d+)?\s*(?P<zone>\D.*)?)?",
    )
)
_EPOCH = re.compile(r"(?P<whole>\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d+)?", re.ASCII)
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?e\+?(?:09|9|1[0-8])", re.ASCII | re.IGNORECASE)
_OFFSET = re.compile(
    r"(?:gmt|utc)?\s*(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?", re.ASCII
)
_FURTHEST_OFFSET = timedelta(hours=14)
_UTC = pa.timestamp("us", tz="UTC")
_MIDNIGHT = time(0)
_ZONE_AT_END = r"(?i)([\d\s])(z|utc?|gmt|[ecmp][sd]t)\s*$"

DATED = pa.schema(
    [
        pa.field("published_at", _UTC),
        pa.field("granularity", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("refusal", pa.string()),
    ]
)
"""One row per date: the instant it names, or for a day its first; or why it was refused.

granularity: second | minute | day, as written. day: the day of a date without a time of day or at
midnight, on the clock it is named by; NULL for any other.
"""


def require_zone(zone: str | None) -> str | None:
    """The zone if it is an IANA time zone or None; raises ValueError."""
    if zone is not None and zone not in available_timezones():
        raise ValueError(f"{zone!r} is not an IANA time zone; expected one like Europe/London")
    return zone


class DateRefusedError(ValueError):
    """The text does not name one instant or day; the message is the reason, fit for quarantine."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A date as read. `at`: the UTC instant, of a day the first.

    `day`: the day of a date without a time of day, or with midnight on its own clock, which is
    mostly one without too.
    """

    at: datetime
    granularity: Granularity
    day: date | None = None


def parse_published(text: str | None, zone: tzinfo | None = None) -> Stamp:
    """The UTC instant, to the second, or the day that a date string names.

    Understands RFC 822/2822, ISO 8601 / RFC 3339 with or without separators, American dates in
    words, those of C and Twitter, and seconds (milli-, micro-, nanoseconds) since 1970. `zone` is
    that of dates that name none. A day needs no zone, nor does midnight, which then stands for one.
    A weekday counts only where it contradicts in English. Raises DateRefusedError for anything
    else: nothing is guessed and nothing defaults to now.
    """
    raw = " ".join((text or "").split())
    if not raw:
        raise DateRefusedError("undated")
    since = _since_1970(raw) if raw[0].isdigit() else None
    if since is not None and since.at >= EARLIEST:
        return since
    match = next((found for one in _GRAMMAR if (found := one.fullmatch(raw))), None)
    if match is not None:
        return _written(match.groupdict(), zone)
    if since is not None:
        return since
    raise DateRefusedError("date not understood")


def _written(parts: dict[str, str | None], zone: tzinfo | None) -> Stamp:
    try:
        day = date(_year(parts["year"]), _month(parts["month"]), int(parts["day"] or 0))
        clock = _clock(parts)
    except (ValueError, OverflowError) as error:
        if isinstance(error, DateRefusedError):
            raise
        raise DateRefusedError("date impossible") from error
    weekday = (parts.get("weekday") or "").lower()[:3]
    if weekday in WEEKDAYS and weekday != WEEKDAYS[day.weekday()]:
        raise DateRefusedError("date impossible: its weekday is another one")
    named = parts.get("zone")
    own = zone if named is None else _zone(named)
    if clock is None or (clock == _MIDNIGHT and own is None):
        return Stamp(_utc(day, _MIDNIGHT, own or UTC), "day", day)
    if own is None:
        raise DateRefusedError("date without a time zone")
    granularity: Granularity = "minute" if parts["second"] is None else "second"
    return Stamp(_utc(day, clock, own), granularity, day if clock == _MIDNIGHT else None)


def parse_first(texts: tuple[str, ...], zone: tzinfo | None) -> Stamp:
    """The first of several dates of one item that names an instant, else the first day.

    An instant before the day that an earlier one names is passed over: it is no better a date of
    the same event. Raises DateRefusedError, with the reason of the first, when none can be read.
    """
    day: Stamp | None = None
    refusal: DateRefusedError | None = None
    for text in texts:
        try:
            found = parse_published(text, zone)
        except DateRefusedError as error:
            refusal = refusal or error
            continue
        if found.day is None and (day is None or found.at >= day.at - _FURTHEST_OFFSET):
            return found
        day = day or found
    if day is None:
        raise refusal or DateRefusedError("undated")
    return day


def read_date_column(
    column: pa.Array, zone: str | None, date_format: str | None, engine: Scratch
) -> pa.Table:
    """Each date of an archive's column, read as DATED, in order.

    `column` holds timestamps, dates, numbers (since 1970), or texts as `parse_published`
    reads them or in the strptime `date_format`. `zone` is the IANA zone of those that name none; an
    hour that a clock change repeats or skips is read as the later of the two instants. Raises
    ArchiveError for a column of another type.
    """
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.string())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        column = column.cast(pa.string())
    if pa.types.is_timestamp(column.type):
        return _stamped(column, zone, engine)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ArchiveError(
            f"The column of dates holds {column.type}; expected timestamps, or texts with a date "
            "and a time of day."
        )
    texts = column.cast(pa.string())
    if date_format is None or "%Z" in date_format:
        texts = _with_offsets(texts)
        date_format = date_format and date_format.replace("%Z", "%z")
    dated = pa.table({"position": range(len(texts)), "published": texts})
    params = {
        "zoneless": zone is None,
        "format": date_format,
        "format_has_zone": "%z" in (date_format or ""),
        "format_has_time": bool(re.search(r"%[HIXTcs]", date_format or "")),
        "format_has_seconds": bool(re.search(r"%[SXTcs]", date_format or "")),
    }
    read = engine.read("headline_dates", params, dated=dated)
    walls, zoneless = _localised(read["wall"].combine_chunks(), zone)
    midnight = _days_at(read["day"].combine_chunks(), zone)
    refusal = pc.if_else(zoneless, "date without a time zone", None).cast(pa.string())
    found = pa.table(
        [
            pc.coalesce(read["instant"].combine_chunks().cast(_UTC), walls, midnight),
            read["granularity"].combine_chunks(),
            read["day"].combine_chunks(),
            refusal,
        ],
        schema=DATED,
    )
    return found if date_format else _with_the_rest(found, column.cast(pa.string()), zone)


def _with_the_rest(found: pa.Table, texts: pa.Array, zone: str | None) -> pa.Table:
    """The table with what SQL could not read read by `parse_published`, each text once."""
    left = pc.and_(
        pc.and_(found["published_at"].is_null(), found["refusal"].is_null()), texts.is_valid()
    ).combine_chunks()
    if not left.true_count:
        return found
    odd = texts.filter(left).dictionary_encode()
    own = ZoneInfo(zone) if zone else None
    read = pa.Table.from_pylist([_row(text, own) for text in odd.dictionary.to_pylist()], DATED)
    rest = read.take(odd.indices)
    columns = [
        pc.replace_with_mask(found[name].combine_chunks(), left, rest[name].combine_chunks())
        for name in DATED.names
    ]
    return pa.table(columns, schema=DATED)


def _row(text: str, zone: tzinfo | None) -> dict[str, object]:
    try:
        stamp = parse_published(text, zone)
    except DateRefusedError as refusal:
        return {"refusal": str(refusal)}
    return {"published_at": stamp.at, "granularity": stamp.granularity, "day": stamp.day}


def _stamped(column: pa.Array, zone: str | None, engine: Scratch) -> pa.Table:
    """A column of timestamps as DATED: midnight on its own clock is a day."""
    wall = pc.local_timestamp(column) if column.type.tz else column
    read = engine.read(
        "timestamps_dated",
        {"zoneless": column.type.tz is None and zone is None},
        stamped=pa.table({"wall": wall.cast(pa.timestamp("us"))}),
    )
    day = read["day"].combine_chunks()
    if column.type.tz:
        instants, zoneless = column.cast(_UTC), pa.repeat(pa.scalar(False), len(column))
    else:
        instants, zoneless = _localised(pc.if_else(day.is_null(), wall, None), zone)
        instants = pc.coalesce(instants, _days_at(day, zone))
    refusal = pc.if_else(zoneless, "date without a time zone", None).cast(pa.string())
    return pa.table([instants, read["granularity"].combine_chunks(), day, refusal], schema=DATED)


def _localised(wall: pa.Array, zone: str | None) -> tuple[pa.Array, pa.Array]:
    """The instants of wall times in the zone, and whether all that one lacks is a zone."""
    wall = wall.cast(pa.timestamp("us"))
    if zone is None:
        return pa.nulls(len(wall), _UTC), wall.is_valid()
    instants = pc.assume_timezone(wall, zone, ambiguous="latest", nonexistent="latest")
    return instants.cast(_UTC), pa.repeat(pa.scalar(False), len(wall))


def _days_at(days: pa.Array, zone: str | None) -> pa.Array:
    """The first instant of each day on the zone's clock, else on that of UTC."""
    return _localised(days.cast(pa.timestamp("us")), zone or "UTC")[0]


def _with_offsets(texts: pa.Array) -> pa.Array:
    """The texts with the names of NAMED_ZONES at their ends written as offsets."""
    named = pc.fill_null(pc.match_substring_regex(texts, _ZONE_AT_END), False)
    if not named.true_count:
        return texts
    some = texts.filter(named)
    for name, hours in NAMED_ZONES.items():
        offset = f"{'-' if hours < 0 else '+'}{abs(hours):02}00"
        some = pc.replace_substring_regex(some, rf"(?i)([\d\s]){name}\s*$", rf"\1{offset}")
    return pc.replace_with_mask(texts, named, some)


def _since_1970(raw: str) -> Stamp | None:
    """Seconds have nine or ten digits from 1973 to 2286; what is longer counts parts of them."""
    number = _EPOCH.fullmatch(f"{float(raw):.0f}" if _SCIENTIFIC.fullmatch(raw) else raw)
    if number is None:
        return None
    whole = number["whole"]
    seconds = int(whole) // 10 ** (3 * ((len(whole) - 9) // 3))
    return Stamp(datetime.fromtimestamp(seconds, UTC), "second")


def _clock(parts: dict[str, str | None]) -> time | None:
    """The time of day; None where none is written."""
    if parts.get("hour") is None:
        return None
    hour = int(parts["hour"] or 0)
    if half := (parts.get("half") or "").lower():
        if not 1 <= hour <= 12:
            raise DateRefusedError("date impossible")
        hour = hour % 12 + (12 if half == "p" else 0)
    return time(hour, int(parts["minute"] or 0), int(parts["second"] or 0))


def _utc(day: date, clock: time, zone: tzinfo) -> datetime:
    try:
        local = datetime.combine(day, clock, zone)
        later = local.replace(fold=1)
        return max(local.astimezone(UTC), later.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise DateRefusedError("date impossible") from error


def _zone(text: str) -> timezone:
    # "GMT+0000 (Coordinated Universal Time)" repeats itself in a comment.
    bare = re.sub(r"\s*\([^()]*\)$", "", text) if text.endswith(")") else text
    name = bare.strip().lower()
    if name in NAMED_ZONES:
        return timezone(timedelta(hours=NAMED_ZONES[name]))
    match = _OFFSET.fullmatch(name)
    if match is None:
        raise DateRefusedError("date with an unknown time zone")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    if offset > _FURTHEST_OFFSET or int(match["minutes"] or 0) > 59:
        raise DateRefusedError("date with an unknown time zone")
    return timezone(offset if match["sign"] == "+" else -offset)


def _year(text: str | None) -> int:
    year = int(text or 0)
    # RFC 2822, section 4.3: two digits up to 49 belong to this century.
    return year if len(text or "") == 4 else year + (2000 if year < 50 else 1900)


def _month(text: str | None) -> int:
    name = (text or "").lower()
    if name.isdigit():
        return int(name)
    if name[:3] not in MONTHS:
        raise DateRefusedError("date with an unknown month name")
    return MONTHS[name[:3]]
