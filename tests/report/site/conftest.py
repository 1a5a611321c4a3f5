"""Five years of a hundred tickers with forward predictions, made in columns, for the site."""

from __future__ import annotations

import hashlib
import json
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
from tests.builders.frames import bar_table, headline_table, recorded
from warehouse.lake import Lake, LakeSpec

NOW = datetime(2024, 1, 5, 12, tzinfo=UTC)
"""Before the open of the last session."""

ATTACK = "</li><script>document.title='owned'</script>\"'><img src=x onerror=alert(1)> {{ 7 * 7 }}"
_TITLES = np.array(["Quarterly results beat estimates", "Regulator opens an inquiry", ATTACK])
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
    days = len(calendar)
    size = days * tickers
    rng = np.random.default_rng(seed)
    names = np.repeat([f"T{number:03d}" for number in range(tickers)], days)
    across = pa.array(np.tile(np.arange(days), tickers))
    session, opens, closes = (
        calendar[column].combine_chunks().take(across)
        for column in ("session", "open_ts", "close_ts")
    )
    entry = np.exp(rng.normal(3, 0.4, size))
    move = rng.normal(0, 0.01, size)
    columns = {
        "ticker": names,
        "session": session,
        "entry": entry,
        "close": entry * np.exp(move),
        "opens": opens,
        "closes": closes,
    }
    _bars(lake, columns, rng, last=calendar["session"][-1].as_py())
    news = np.flatnonzero(rng.random(size) < 0.6)
    chosen = {name: _taken(values, news) for name, values in columns.items()}
    ids = [f"h{number:07d}" for number in news]
    _headlines(lake, chosen, ids, rng)
    up = move[news] > 0
    _examples(lake, chosen, ids, up, move[news], open_session=calendar["session"][-1].as_py())
    ahead = np.flatnonzero(np.array(chosen["session"].to_pylist()) >= forward_from)
    called = {name: _taken(values, ahead) for name, values in chosen.items()}
    _predictions(lake, called, [ids[row] for row in ahead], up[ahead], edge, rng)
    tested = np.setdiff1d(np.arange(len(news)), ahead)[-4000:]
    if len(tested):
        _backtest(
            lake,
            {name: _taken(values, tested) for name, values in chosen.items()},
            [ids[row] for row in tested],
            up[tested],
            rng,
        )
    _models(lake)


def _taken(values: Any, rows: Any) -> Any:
    return values.take(pa.array(rows)) if isinstance(values, pa.Array) else values[rows]


def _append(lake: Lake, table: str, rows: dict[str, Any]) -> None:
    lake.transact(lambda tx: tx.append(table, pa.table(rows)))


def _bars(lake: Lake, columns: dict[str, Any], rng: Any, *, last: date) -> None:
    size = len(columns["ticker"])
    quoted = {name: columns[name] for name in ("ticker", "session", "close")}
    quoted |= {"open": columns["entry"], "volume": rng.integers(1, 10**6, size)}
    table = recorded(bar_table(quoted, "tape", reach=0.05), NOW)
    keep = np.array(table["session"].to_pylist()) < last
    lake.transact(lambda tx: tx.append("bars", table.filter(pa.array(keep))))
    old = table.slice(0, 4).append_column("superseded_at", pa.array([NOW] * 4))
    swapped = old.rename_columns(
        [{"open": "close", "close": "open"}.get(name, name) for name in old.column_names]
    )
    lake.transact(lambda tx: tx.append("bar_revisions", swapped))


def _headlines(lake: Lake, chosen: dict[str, Any], ids: list[str], rng: Any) -> None:
    size = len(ids)
    published = pc.subtract(chosen["opens"], pa.scalar(timedelta(hours=5)))
    titles = _TITLES[rng.integers(0, len(_TITLES), size)]
    headlines = headline_table(ids, titles, published, "wire")
    about = {"headline_id": ids, "ticker": chosen["ticker"], "method": ["feed"] * size}
    lake.transact(lambda tx: tx.append("headlines", headlines))
    _append(lake, "headline_tickers", about)
    _append(
        lake,
        "payloads",
        {
            "payload_id": ["a" * 64, "b" * 64],
            "source": ["tape", "wire"],
            "url": ["https://tape.example/chart", "https://wire.example/rss"],
            "status": pa.array([200, 200], pa.int32()),
            "headers": ["{}", "{}"],
            "bytes": [1000, 2000],
            "fetched_at": [NOW - timedelta(hours=2)] * 2,
        },
    )


def _examples(
    lake: Lake, chosen: dict[str, Any], ids: list[str], up: Any, move: Any, *, open_session: date
) -> None:
    size = len(ids)
    waiting = np.array(chosen["session"].to_pylist()) == open_session
    decided = pc.subtract(chosen["opens"], pa.scalar(timedelta(minutes=5)))
    _append(
        lake,
        "examples",
        {
            "spec_id": [_SPEC] * size,
            "example_id": [f"e-{headline}" for headline in ids],
            "ticker": chosen["ticker"],
            "session": chosen["session"],
            "decision_ts": decided,
            "max_input_available_at": pc.subtract(decided, pa.scalar(timedelta(hours=4))),
            "label_start_ts": chosen["opens"],
            "label_end_ts": chosen["closes"],
            "label": pa.array(np.where(up, "up", "down"), mask=waiting),
            "label_reason": np.where(waiting, "unfinished", "labelled"),
            "label_return": pa.array(np.expm1(move), mask=waiting),
            "previous_return": np.roll(move, 1),
            "availability": ["observed"] * size,
            "headline_ids": [[headline] for headline in ids],
            "story_ids": [[headline] for headline in ids],
            "input": ["news"] * size,
        },
    )


def _predictions(
    lake: Lake, chosen: dict[str, Any], ids: list[str], up: Any, edge: float, rng: Any
) -> None:
    size = len(ids)
    committed = pc.subtract(chosen["opens"], pa.scalar(timedelta(minutes=4)))
    for predictor, lean in (("fine_tuned", edge), ("challenger", 0.0)):
        logit = lean * np.where(up, 1.0, -1.0) + rng.normal(0, 0.4, size)
        when = committed
        if predictor == "challenger":
            late = pa.array(np.arange(size) == 0)
            when = pc.if_else(late, chosen["opens"], committed)
        _append(
            lake,
            "predictions",
            _made(chosen, ids, "forward", predictor)
            | {
                "p_up": 1 / (1 + np.exp(-logit)),
                "predicted_at": when,
                "headline_ids": [[headline] for headline in ids],
                "input_sha256": [hashlib.sha256(b"news").hexdigest()] * size,
            },
        )


def _made(chosen: dict[str, Any], ids: list[str], kind: str, predictor: str) -> dict[str, Any]:
    """What every prediction of a model has: identity, model, and the example it is about."""
    size = len(ids)
    return {
        "prediction_id": [f"{kind}-{predictor}-{headline}" for headline in ids],
        "kind": [kind] * size,
        "predictor": [predictor] * size,
        "model_id": [f"model-{predictor}"] * size,
        "dataset_id": ["d" * 16] * size,
        "spec_id": [_SPEC] * size,
        "example_id": [f"e-{headline}" for headline in ids],
        "ticker": chosen["ticker"],
        "session": chosen["session"],
        "decision_ts": pc.subtract(chosen["opens"], pa.scalar(timedelta(minutes=5))),
    }


def _backtest(lake: Lake, chosen: dict[str, Any], ids: list[str], up: Any, rng: Any) -> None:
    """The champion called seven of ten examples of its test split rightly."""
    size = len(ids)
    right = rng.random(size) < 0.7
    rows = {"p_up": np.where(up == right, 0.6, 0.4), "predicted_at": [NOW] * size}
    _append(lake, "predictions", _made(chosen, ids, "backtest", "fine_tuned") | rows)


def _models(lake: Lake) -> None:
    names = ["model-fine_tuned", "model-challenger"]
    metrics = [
        {
            "loss_curve": [[step, 0.72 * decay**step] for step in range(1, 101)],
            "validation_ce_before": 0.73,
            "validation_ce_after": 0.68,
        }
        for decay in (0.996, 0.998)
    ]
    _append(
        lake,
        "models",
        {
            "model_id": names,
            "dataset_id": ["d" * 16] * 2,
            "recipe_name": ["smollm2-135m"] * 2,
            "base_model": ["SmolLM2 135M"] * 2,
            "adapter_sha256": ["c" * 64] * 2,
            "path": ["models/m"] * 2,
            "seed": pa.array([7, 8], pa.int32()),
            "recipe": ["{}"] * 2,
            "environment": ["{}"] * 2,
            "metrics": [json.dumps(document) for document in metrics],
            "stage": ["champion", "challenger"],
            "created_at": [NOW - timedelta(days=2000)] * 2,
        },
    )
    _append(
        lake,
        "evaluations",
        {
            "dataset_id": ["d" * 16],
            "split": ["test"],
            "slice": ["all"],
            "predictor": ["fine_tuned"],
            "model_id": ["model-fine_tuned"],
            "metric": ["accuracy"],
            "value": [0.70],
            "ci_low": [0.68],
            "ci_high": [0.72],
            "n_examples": [2000],
            "n_sessions": [200],
            "evaluated_at": [NOW - timedelta(days=2000)],
        },
    )
