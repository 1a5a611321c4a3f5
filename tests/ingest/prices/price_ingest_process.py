"""Ingests prices in forked children, so that a test can kill one at any moment.

Reads a folder a line; for each, forks a child that ingests three ranges into the warehouse in that
folder, a commit each, and writes the child's pid; "wait" waits for it and writes its exit status,
"ended" writes 1 if it has ended and 0 if not, without waiting.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pandas as pd  # noqa: F401 - imported before the fork, so that children start at once
import yfinance  # noqa: F401

from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.prices.fetch import PriceSpec, fetch_prices
from tasks.ingest.prices.yahoo_transport import yahoo_session
from warehouse.lake import Lake, LakeSpec
from warehouse.storage.landing import Landing
from warehouse.tables.prices import publish_prices

NOW = datetime(2013, 3, 1, 22, 30, tzinfo=UTC)
MONTHS = [date(2012, month, 1) for month in range(9, 13)]


def ingest(folder: Path, origin: str) -> None:
    """Three monthly ranges of two tickers, a commit each."""
    spec = LakeSpec(threads=1).placed_below(folder)
    prices = PriceSpec(source="sandbox", basis="session", cache=folder / "yfinance")
    calendar = exchange_sessions("XNYS", date(2012, 1, 3), date(2013, 3, 1))
    session = yahoo_session(origin, clock=lambda: NOW)
    with Lake.open(spec) as lake:
        for start, end in pairwise(MONTHS):
            batch = fetch_prices(
                ("AAPL", "IBM"),
                start,
                end,
                prices,
                session=session,
                clock=lambda: NOW,
                land=Landing(folder / "landing").store,
                calendar=calendar,
            )
            publish_prices(lake, batch, now=NOW)


def main(origin: str) -> None:
    """Serve the lines of standard input until it ends."""
    child = 0
    for line in sys.stdin:
        if line.strip() == "wait":
            print(os.waitpid(child, 0)[1], flush=True)
            continue
        if line.strip() == "ended":
            found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            print(int(found is not None), flush=True)
            continue
        child = os.fork()
        if child == 0:
            ingest(Path(line.strip()), origin)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
