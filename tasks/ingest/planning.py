"""Backfill planning: requested ranges minus those the ledger has as answered, plus what is due.

A range that came partial is answered: only what is missing in it is asked for again, and only when
its time has come (see `next_attempt` in warehouse/sql/macros.sql).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa

from warehouse.lake import Lake

DAY = timedelta(days=1)
DateRange = tuple[date, date]
"""First and last day, both included."""


class PlanningError(ValueError):
    """The requested range makes no sense."""


@dataclass(frozen=True, slots=True)
class Request:
    """One range to ask one source for, for every key that misses exactly that range."""

    keys: tuple[str, ...]
    start: date
    end: date


def check_range(start: date, end: date) -> None:
    """Raises PlanningError when `start` lies after `end`."""
    if start > end:
        raise PlanningError(
            f"The range starts at {start} and ends at {end}; expected a start on or before the "
            "end. Swap the two dates and run it again; nothing was fetched."
        )


def missing_ranges(wanted: DateRange, done: Iterable[DateRange]) -> list[DateRange]:
    """The parts of `wanted` that no range of `done` covers, in order; all bounds inclusive."""
    start, end = wanted
    gaps = []
    for first, last in sorted(done):
        if first > end:
            break
        if first > start:
            gaps.append((start, first - DAY))
        start = max(start, last + DAY)
    if start <= end:
        gaps.append((start, end))
    return gaps


def plan_requests(
    keys: Sequence[str],
    wanted: DateRange,
    done: Mapping[str, Iterable[DateRange]],
    group_size: int,
    within: Mapping[str, Sequence[DateRange]] | None = None,
) -> list[Request]:
    """One request per group of at most `group_size` keys that share a gap, oldest gap first.

    With `within`, only the parts of `wanted` that lie in a key's own ranges are asked for.
    """
    gaps = {
        key: [
            gap
            for first, last in (within or {}).get(key, () if within is not None else (wanted,))
            if first <= wanted[1] and last >= wanted[0]
            for gap in missing_ranges(
                (max(first, wanted[0]), min(last, wanted[1])), done.get(key, ())
            )
        ]
        for key in keys
    }
    return _grouped(gaps, group_size)


def plan_retries(
    keys: Sequence[str],
    wanted: DateRange,
    due: Mapping[str, Sequence[DateRange]],
    group_size: int,
    reach: int,
) -> list[Request]:
    """Requests for what is `due` within `wanted`, oldest first, a group of keys at a time.

    Within a group, ranges at most `reach` days apart become one that all its keys are asked for:
    scattered holes of many tickers take a few requests, not one a day. With `reach` 0 only keys
    that owe exactly the same range share a request. A request begins and ends on days that are due.
    """
    owed = {
        key: [
            (max(first, wanted[0]), min(last, wanted[1]))
            for first, last in due.get(key, ())
            if first <= wanted[1] and last >= wanted[0]
        ]
        for key in keys
    }
    if not reach:
        return _grouped(owed, group_size)
    owing = [key for key in keys if owed[key]]
    requests = []
    for at in range(0, len(owing), group_size):
        requests += _shared({key: owed[key] for key in owing[at : at + group_size]}, reach)
    return sorted(requests, key=lambda request: (request.start, request.end))


def _shared(owed: Mapping[str, Sequence[DateRange]], reach: int) -> list[Request]:
    """Ranges near each other joined, whosever they are."""
    joined: list[tuple[date, date, list[str]]] = []
    for (first, last), key in sorted((span, key) for key, spans in owed.items() for span in spans):
        if joined and first <= joined[-1][1] + reach * DAY:
            begin, end, keys = joined[-1]
            joined[-1] = (begin, max(end, last), [*keys, key])
        else:
            joined.append((first, last, [key]))
    return [
        Request(tuple(key for key in owed if key in set(keys)), first, last)
        for first, last, keys in joined
    ]


def _grouped(ranges: Mapping[str, Sequence[DateRange]], group_size: int) -> list[Request]:
    """One request per group of keys that share exactly a range, oldest range first."""
    sharing: dict[DateRange, list[str]] = defaultdict(list)
    for key, spans in ranges.items():
        for span in spans:
            sharing[span].append(key)
    return [
        Request(tuple(group[at : at + group_size]), first, last)
        for (first, last), group in sorted(sharing.items())
        for at in range(0, len(group), group_size)
    ]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one source has answered and what it owes, as inclusive ranges per key.

    `answered` leaves out what failed. `due` is missing in what was answered and may be asked for
    again now.
    """

    answered: Mapping[str, Sequence[DateRange]] = field(default_factory=dict)
    due: Mapping[str, Sequence[DateRange]] = field(default_factory=dict)


NEARBY = 31
"""Missing sessions this many days apart are asked for in one range: a chart costs one request."""


def ledger_of(lake: Lake, source: str, now: datetime, reach: int = 0) -> Ledger:
    """The ledger of a source by `now` (UTC); missing sessions `reach` days apart are one range."""
    params = {"source": source, "now": now, "reach": reach}
    return Ledger(
        _by_key(lake.read("ranges_answered", params)), _by_key(lake.read("ranges_due", params))
    )


def _by_key(table: pa.Table) -> dict[str, list[DateRange]]:
    ranges: dict[str, list[DateRange]] = defaultdict(list)
    for row in table.to_pylist():
        ranges[row["key"]].append((row["range_start"], row["range_end"]))
    return ranges


def day_times(lake: Lake, source: str) -> list[time]:
    """The times of day (UTC) at which a source puts what it dates by the day, as far as stored."""
    found: list[time] = lake.read("source_day_times", {"source": source})["time_of_day"].to_pylist()
    return found


@dataclass(frozen=True, slots=True)
class IncompleteRange:
    """One range of one key in which something is missing, in words.

    `retry_at` (UTC) is when it is asked for again; None: it cannot be had any more.
    """

    source: str
    key: str
    start: date
    end: date
    missing: str
    retry_at: datetime | None

    @property
    def words(self) -> str:
        """What is missing and what becomes of it."""
        if self.retry_at is None:
            return f"{self.missing}; it cannot be asked for again"
        return f"{self.missing}; asked for again from {self.retry_at:%Y-%m-%d %H:%M} UTC"


def incomplete_ranges(
    lake: Lake, source: str, keys: Sequence[str] | None, days: DateRange
) -> tuple[IncompleteRange, ...]:
    """What the ledger knows to be missing of `keys` (None: of all) within the inclusive `days`."""
    params = {
        "source": source,
        "keys": None if keys is None else list(keys),
        "first": days[0],
        "last": days[1],
    }
    return tuple(
        IncompleteRange(
            source,
            row["key"],
            row["range_start"],
            row["range_end"],
            row["missing"],
            row["retry_at"] and row["retry_at"].astimezone(UTC),
        )
        for row in lake.read("ranges_incomplete", params).to_pylist()
    )


def first_known(lake: Lake, tickers: Sequence[str]) -> dict[str, date]:
    """The first session on record of each ticker that has a bar."""
    found = lake.read("bars_first", {"tickers": list(tickers)})
    return dict(zip(found["ticker"].to_pylist(), found["session"].to_pylist(), strict=True))


def last_finished_session(
    lake: Lake, exchange: str, wanted: DateRange, now: datetime
) -> date | None:
    """The last session of the range whose close lies before `now` (UTC); None if there is none."""
    params = {"exchange": exchange, "first": wanted[0], "last": wanted[1], "now": now}
    session: date | None = lake.read("last_finished_session", params)["session"][0].as_py()
    return session
