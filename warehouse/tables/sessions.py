"""Publishing sessions: whole calendar years of an exchange, without holes, from one release.

What is stored depends on the years that were ever needed, not on who came first or how often:
each writer covers the union of what is stored and what it needs, in whole years, and a calendar of
another release replaces all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache

import pyarrow as pa

from warehouse.lake import Lake, ReadSql, Transaction

Calendar = Callable[[str, int, int], pa.Table]
"""Gives the sessions of an exchange from the first to the last year, as far as its record goes.

One row per session: exchange, session, open_ts, close_ts.
"""

DateSpan = tuple[date, date]
"""First and last date, both included."""

# No exchange rests longer than this around a new year. Releases that stored parts of years are
# recognised by it.
_LONGEST_REST = timedelta(days=12)


def publish_sessions(
    lake: Lake, spans: Mapping[str, DateSpan], calendar: Calendar, calendar_version: str
) -> None:
    """Make `sessions` cover the dates of each exchange; nothing is done where it does already.

    `calendar_version` names the release that `calendar` comes from. Raises what `calendar` raises.
    """
    years = cache(calendar)
    lacking = _lacking(lake.read, spans, calendar_version)
    for exchange, span in lacking.items():
        years(exchange, *span)  # a calendar takes a second; no other writer shall wait for it

    def work(tx: Transaction) -> None:
        # Looked up again inside the transaction: another writer may have laid out years meanwhile.
        found = _lacking(tx.read, spans, calendar_version)
        if found:
            tables = [years(exchange, *span) for exchange, span in sorted(found.items())]
            parameters = {"calendar_version": calendar_version}
            tx.run("sessions_publish", parameters, calendar=pa.concat_tables(tables))

    if lacking:
        lake.transact(work)


def _lacking(
    read: ReadSql, spans: Mapping[str, DateSpan], calendar_version: str
) -> dict[str, tuple[int, int]]:
    """The first and last year to lay out for each exchange that is not covered."""
    rows = read("sessions_stored", {"calendar_version": calendar_version}).to_pylist()
    stored = {row["exchange"]: row for row in rows}
    lacking = {}
    for exchange, (first, last) in spans.items():
        years = first.year, last.year
        found = stored.get(exchange)
        if found is not None:
            years = min(years[0], found["first"].year), max(years[1], found["last"].year)
            begins = found["first"] <= date(years[0], 1, 1) + _LONGEST_REST
            ends = found["last"] >= date(years[1], 12, 31) - _LONGEST_REST
            if found["is_current"] and begins and ends:
                continue
        lacking[exchange] = years
    return lacking
