"""What the ledger and the calendar say about a request before it is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pyarrow as pa

from flows.settings import UniverseSpec
from tasks.dataset.spec.clock import calendar_version, calendar_years
from tasks.ingest.planning import DateRange
from warehouse.lake import Lake
from warehouse.tables.sessions import publish_sessions

MARGIN = timedelta(days=14)
EVER = date(1900, 1, 1)


def record_sessions(
    lake: Lake, universe: UniverseSpec, tickers: Sequence[str], wanted: DateRange
) -> None:
    """Publish the exchange's sessions around a range, and which exchange each ticker is on.

    The sessions reach past its end, because a decision belongs to a session yet to come.
    """
    around = {universe.exchange: (wanted[0] - MARGIN, wanted[1] + MARGIN)}
    publish_sessions(lake, around, calendar_years, calendar_version())
    size = len(tickers)
    symbols = pa.table(
        {
            "ticker": pa.array(tickers, pa.string()),
            "exchange": pa.array([universe.exchange] * size, pa.string()),
            "alias": pa.array(tickers, pa.string()),
            "kind": pa.array(["symbol"] * size, pa.string()),
            "valid_from": pa.array([EVER] * size, pa.date32()),
            "valid_to": pa.array([None] * size, pa.date32()),
        }
    )
    lake.transact(lambda tx: tx.upsert("tickers", symbols, ("ticker", "alias", "valid_from")))


def done_ranges(lake: Lake, source: str) -> dict[str, list[DateRange]]:
    """Per key, the inclusive ranges that `source` has already delivered."""
    rows = lake.read("ranges_done", {"source": source}).to_pylist()
    ranges: dict[str, list[DateRange]] = defaultdict(list)
    for row in rows:
        ranges[row["key"]].append((row["range_start"], row["range_end"]))
    return ranges


def last_finished_session(
    lake: Lake, exchange: str, wanted: DateRange, now: datetime
) -> date | None:
    """The last session of the range whose close lies before `now` (UTC); None if there is none."""
    params = {"exchange": exchange, "first": wanted[0], "last": wanted[1], "now": now}
    answer: date | None = lake.read("last_finished_session", params)["session"][0].as_py()
    return answer
