"""Five years of a hundred tickers with forward predictions, made in columns, for the site."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.dataset.spec.clock import exchange_sessions
from tasks.report.site.site import write_site
from tests.builders.rows import MARKUP, append, append_bars, append_headlines, bars, model
from warehouse.lake import Lake, LakeSpec
from warehouse.tables.models import store_model

NOW = datetime(2024, 1, 5, 12, tzinfo=UTC)
"""Before the open of the last session."""

_TITLES = np.array(
    ["Quarterly results beat estimates", "Regulator opens an inquiry", f"</li>{MARKUP}"]
)
_SPEC = "market"


@dataclass(frozen=True)
class Site:
    """A site on disk, the open warehouse it was made from, and the moment it was made for."""

    lake: Lake
    root: Path
    now: datetime


@pytest.fixture(scope="session")
def market_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Five years of a hundred tickers with half a year of forward predictions, as a site."""
    root = tmp_path_factory.mktemp("market")
    with Lake.open(LakeSpec().placed_below(root)) as lake:
        fill(lake, start=date(2019, 1, 7), forward_from=date(2023, 7, 3), tickers=100)
        write_site(lake, root / "site", NOW)
        yield Site(lake, root / "site", NOW)


@pytest.fixture
def market() -> Callable[[Path, float], AbstractContextManager[Lake]]:
    """Opens a small market in a folder: five tickers, eight months, a model with the given edge."""

    @contextmanager
    def opened(root: Path, edge: float) -> Iterator[Lake]:
        with Lake.open(LakeSpec().placed_below(root)) as lake:
            start = date(2023, 5, 1)
            fill(lake, start=start, forward_from=start, tickers=5, edge=edge)
            yield lake

    return opened


def fill(
    lake: Lake, *, start: date, forward_from: date, tickers: int, edge: float = 0.12, seed: int = 11
) -> None:
    """Fill an empty warehouse from `start` to 5 January 2024, whose outcome is still open.

    60% of the ticker-sessions have a headline; from `forward_from` on two models predict those,
    one with an `edge` in log-odds, one without. The second model's first prediction is late.
    """
    calendar = exchange_sessions("XNYS", start, date(2024, 1, 5))
    size = len(calendar) * tickers
    rng = np.random.default_rng(seed)
    across = pa.array(np.tile(np.arange(len(calendar)), tickers))
    cells = calendar.select(["session", "open_ts", "close_ts"]).take(across).combine_chunks()
    names = np.repeat([f"T{number:03d}" for number in range(tickers)], len(calendar))
    cells = cells.append_column("ticker", pa.array(names))
    cells = cells.append_column("headline", pa.array([f"h{number:07d}" for number in range(size)]))
    entry, move = np.exp(rng.normal(3, 0.4, size)), rng.normal(0, 0.01, size)
    cells = cells.append_column("move", pa.array(move))
    volume = rng.integers(1, 10**6, size)
    _bars(lake, bars(names, cells["session"], entry, entry * np.exp(move), volume))
    news = cells.filter(pa.array(rng.random(size) < 0.6))
    published = pc.subtract(news["open_ts"], pa.scalar(timedelta(hours=5)))
    titles = _TITLES[rng.integers(0, len(_TITLES), len(news))]
    append_headlines(lake, news["headline"].to_pylist(), news["ticker"], published, titles)
    _examples(lake, news, open_session=calendar["session"][-1].as_py())
    ahead = pc.greater_equal(news["session"], pa.scalar(forward_from))
    _predictions(lake, news.filter(ahead), edge, rng)
    tested = news.filter(pc.invert(ahead))
    if len(tested):
        _backtest(lake, tested.slice(max(0, len(tested) - 4000)), rng)
    _models(lake)


def _bars(lake: Lake, quotes: pa.Table) -> None:
    """All but the last session's, of which four had been quoted otherwise; and their payloads."""
    append_bars(lake, quotes.filter(pc.less(quotes["session"], pc.max(quotes["session"]))), NOW)
    former = lake.sql("FROM bars LIMIT 4")
    names = [{"open": "close", "close": "open"}.get(name, name) for name in former.column_names]
    stamped = former.rename_columns(names).append_column("superseded_at", pa.array([NOW] * 4))
    lake.transact(lambda tx: tx.append("bar_revisions", stamped))
    append(lake, "payloads", {
        "payload_id": ["a" * 64, "b" * 64], "source": ["tape", "wire"],
        "url": ["https://tape.example/chart", "https://wire.example/rss"],
        "status": 200, "headers": "{}", "bytes": 1000, "fetched_at": NOW - timedelta(hours=2),
    })  # fmt: skip


def _example_columns(news: pa.Table) -> dict[str, Any]:
    """What an example and a prediction about it have in common."""
    return {
        "spec_id": _SPEC, "example_id": pc.binary_join_element_wise("e", news["headline"], "-"),
        "ticker": news["ticker"], "session": news["session"],
        "decision_ts": pc.subtract(news["open_ts"], pa.scalar(timedelta(minutes=5))),
        "headline_ids": [[headline] for headline in news["headline"].to_pylist()],
    }  # fmt: skip


def _examples(lake: Lake, news: pa.Table, *, open_session: date) -> None:
    shared, move = _example_columns(news), news["move"].to_numpy()
    waiting = pc.equal(news["session"], pa.scalar(open_session)).to_numpy()
    append(lake, "examples", shared | {
        "max_input_available_at": pc.subtract(shared["decision_ts"], pa.scalar(timedelta(hours=4))),
        "label_start_ts": news["open_ts"], "label_end_ts": news["close_ts"],
        "label": pa.array(np.where(move > 0, "up", "down"), mask=waiting),
        "label_reason": np.where(waiting, "unfinished", "labelled"),
        "label_return": pa.array(np.expm1(move), mask=waiting),
        "previous_return": np.roll(move, 1), "availability": "observed",
        "story_ids": shared["headline_ids"], "input": "news",
    })  # fmt: skip


def _made(news: pa.Table, kind: str, predictor: str) -> dict[str, Any]:
    """What every prediction of a model has: identity, model, and the example it is about."""
    identity = pc.binary_join_element_wise(f"{kind}-{predictor}", news["headline"], "-")
    return _example_columns(news) | {
        "prediction_id": identity, "kind": kind, "predictor": predictor,
        "model_id": f"model-{predictor}", "dataset_id": "d" * 16,
    }  # fmt: skip


def _predictions(lake: Lake, news: pa.Table, edge: float, rng: Any) -> None:
    committed = pc.subtract(news["open_ts"], pa.scalar(timedelta(minutes=4)))
    late = pc.if_else(pa.array(np.arange(len(news)) == 0), news["open_ts"], committed)
    for predictor, lean, when in (("fine_tuned", edge, committed), ("challenger", 0.0, late)):
        sign = np.where(news["move"].to_numpy() > 0, 1.0, -1.0)
        p_up = 1 / (1 + np.exp(-(lean * sign + rng.normal(0, 0.4, len(news)))))
        read = {"input_sha256": hashlib.sha256(b"news").hexdigest()}
        made = _made(news, "forward", predictor) | {"p_up": p_up, "predicted_at": when}
        append(lake, "predictions", made | read)


def _backtest(lake: Lake, news: pa.Table, rng: Any) -> None:
    """The champion called seven of ten examples of its test split rightly."""
    right = rng.random(len(news)) < 0.7
    p_up = np.where((news["move"].to_numpy() > 0) == right, 0.6, 0.4)
    made = _made(news, "backtest", "fine_tuned") | {"p_up": p_up, "predicted_at": NOW}
    append(lake, "predictions", made)


def _models(lake: Lake) -> None:
    """Champion and challenger, and what the champion's evaluation found."""
    made = NOW - timedelta(days=2000)
    for name, stage, decay in (
        ("fine_tuned", "champion", 0.996),
        ("challenger", "challenger", 0.998),
    ):
        curve = [[step, 0.72 * decay**step] for step in range(1, 101)]
        losses = {"loss_curve": curve, "validation_ce_before": 0.73, "validation_ce_after": 0.68}
        named = {"dataset_id": "d" * 16, "created_at": made, "stage": stage, "metrics": losses}
        store_model(lake, model(f"model-{name}", **named))
    append(lake, "evaluations", [{
        "dataset_id": "d" * 16, "split": "test", "slice": "all", "predictor": "fine_tuned",
        "model_id": "model-fine_tuned", "metric": "accuracy", "value": 0.70, "ci_low": 0.68,
        "ci_high": 0.72, "n_examples": 2000, "n_sessions": 200, "evaluated_at": made,
    }])  # fmt: skip
