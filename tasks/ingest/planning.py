"""Backfill planning: requested ranges minus what the ledger has as done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

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
    keys: Sequence[str], wanted: DateRange, done: Mapping[str, Iterable[DateRange]], group_size: int
) -> list[Request]:
    """One request per group of at most `group_size` keys that share a gap, oldest gap first."""
    sharing: dict[DateRange, list[str]] = defaultdict(list)
    for key in keys:
        for gap in missing_ranges(wanted, done.get(key, ())):
            sharing[gap].append(key)
    return [
        Request(tuple(group[at : at + group_size]), first, last)
        for (first, last), group in sorted(sharing.items())
        for at in range(0, len(group), group_size)
    ]


def done_ranges(lake: Lake, source: str) -> dict[str, list[DateRange]]:
    """Per key, the inclusive ranges that `source` has already delivered."""
    ranges: dict[str, list[DateRange]] = defaultdict(list)
    for row in lake.read("ranges_done", {"source": source}).to_pylist():
        ranges[row["key"]].append((row["range_start"], row["range_end"]))
    return ranges


def day_times(lake: Lake, source: str) -> list[time]:
    """The times of day (UTC) at which a source puts what it dates by the day, as far as stored."""
    found: list[time] = lake.read("source_day_times", {"source": source})["time_of_day"].to_pylist()
    return found


def last_finished_session(
    lake: Lake, exchange: str, wanted: DateRange, now: datetime
) -> date | None:
    """The last session of the range whose close lies before `now` (UTC); None if there is none."""
    params = {"exchange": exchange, "first": wanted[0], "last": wanted[1], "now": now}
    session: date | None = lake.read("last_finished_session", params)["session"][0].as_py()
    return session
