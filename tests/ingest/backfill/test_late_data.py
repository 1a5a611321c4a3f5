"""News and prices that come late reach everything that was made without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sandbox.market import Market, synthetic_market
from sandbox.newswire import NewsSpec, headlines

pytestmark = pytest.mark.slow

START, END = date(2012, 9, 4), date(2012, 10, 12)
SPLIT = (
    "dataset.split.start=2012-09-04", "dataset.split.train_until=2012-09-21",
    "dataset.split.validation_until=2012-09-28", "dataset.split.end=2012-10-12",
)  # fmt: skip


def test_late_headline_and_restated_bar_render_what_depends_on_them_again(
    scene: Callable[..., Any], tmp_path: Path
) -> None:
    from flows.backfill import backfill
    from flows.dataset import build_dataset

    market = synthetic_market(2, START, END)
    news = headlines(market, NewsSpec(coverage=0.9))
    late = news.slice(news.num_rows // 2, 1)
    without_it = news.filter(pc.not_equal(news["guid"], late["guid"][0]))
    early = scene(2, START, END, market=misquoted(market, row=7), news=without_it)
    final = scene(2, START, END, market=market, news=news)

    grown, fresh = tmp_path / "grown", tmp_path / "fresh"
    backfill(early.selection(grown, *SPLIT), START, END)
    before, first = early.facts(grown)["examples"], build_dataset(early.selection(grown, *SPLIT))
    backfill(final.selection(grown, *SPLIT), START, END, force=True)
    after, second = final.facts(grown)["examples"], build_dataset(final.selection(grown, *SPLIT))

    changed = touched(before, after)
    assert 2 <= len(changed) <= 4, changed
    assert (market.tickers[0], session_of(market, 7)) in changed
    assert any(ticker == late["ticker"][0].as_py() for ticker, _ in changed)
    assert second.dataset_id != first.dataset_id
    # As if nothing had been late.
    backfill(final.selection(fresh, *SPLIT), START, END)
    assert final.facts(fresh)["examples"].equals(after)
    assert build_dataset(final.selection(fresh, *SPLIT)).dataset_id == second.dataset_id


def misquoted(market: Market, row: int) -> Market:
    """The market with the first ticker's close of one session quoted as its low."""
    right = market.history(market.tickers[0])
    close = right.close.copy()
    close[row] = right.low[row]
    assert not np.isclose(close[row], right.close[row])
    wrong = replace(right, close=close)
    return Market(
        market.name,
        market.listings,
        lambda listing: wrong if listing == right.listing else market.load(listing),
    )


def session_of(market: Market, row: int) -> date:
    session: date = market.bars["session"][row].as_py()
    return session


def touched(before: pa.Table, after: pa.Table) -> set[tuple[str, date]]:
    """Tickers and sessions whose example was added, changed or removed."""
    one, other = (
        {(row["ticker"], row["session"]): row for row in table.to_pylist()}
        for table in (before, after)
    )
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
