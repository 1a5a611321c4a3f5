"""The sessions around a request, recorded before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pyarrow as pa

from flows.settings import UniverseSpec
from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.planning import DateRange
from warehouse.lake import Lake, Transaction

MARGIN = timedelta(days=14)
EVER = date(1900, 1, 1)


def record_sessions(
    lake: Lake, universe: UniverseSpec, tickers: Sequence[str], wanted: DateRange
) -> None:
    """Publish the exchange's sessions around a range, and which exchange each ticker is on.

    The sessions reach past its end, because a decision belongs to a session yet to come.
    """
    sessions = exchange_sessions(universe.exchange, wanted[0] - MARGIN, wanted[1] + MARGIN)
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

    def work(tx: Transaction) -> None:
        tx.upsert("sessions", sessions, ("exchange", "session"))
        tx.upsert("tickers", symbols, ("ticker", "alias", "valid_from"))

    lake.transact(work)
