"""Looks: every evaluation against the test sessions it saw, recorded once and never removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from warehouse.lake import Lake, Transaction
from warehouse.tables.evaluations import evaluation_rows
from warehouse.tables.predictions import BACKTEST, PREDICTED, predictions_of


class HoldoutError(RuntimeError):
    """A final holdout cannot be opened; the message says why. Nothing of it was shown."""


def store_looks(
    lake: Lake,
    frame: pa.Table,
    predictions: Mapping[str, Any],
    *,
    dataset_id: str,
    split: str,
    model_ids: Mapping[str, str],
    now: datetime,
) -> None:
    """Record that each predictor's P(up) on `frame` was held against its outcomes.

    `frame`: see `evaluation_frame`; `predictions`: predictor to P(up) aligned to its rows. `now`
    is UTC. The same predictions held against the same sessions again are no second look.
    """
    if predictions:
        rows = predictions_of(frame.select(PREDICTED), predictions, model_ids, dataset_id, now)
        lake.transact(
            lambda tx: tx.run("look_publish", {"split": split}, incoming_predictions=rows)
        )


def open_holdout(
    lake: Lake,
    frame: pa.Table,
    rows: pa.Table,
    predictions: Mapping[str, Any],
    looked: Sequence[str],
    *,
    dataset_id: str,
    model_ids: Mapping[str, str],
    now: datetime,
) -> None:
    """Store what a final holdout showed: evaluation, predictions and looks, all or nothing.

    `frame` and `predictions`: as in `store_looks`; `rows`: as in `store_evaluation`; `looked`: the
    predictors whose evaluation is a look. `now` is UTC. Raises HoldoutError, and stores nothing,
    if a session of it was opened before.
    """
    offered = predictions_of(frame.select(PREDICTED), predictions, model_ids, dataset_id, now)
    evaluated = evaluation_rows(rows, dataset_id, "final", model_ids, now)
    judged = {name: predictions[name] for name in looked}
    looks = predictions_of(frame.select(PREDICTED), judged, model_ids, dataset_id, now)

    def work(tx: Transaction) -> None:
        _refuse_opened(tx.read("holdout_looks", {"sessions": _sessions(frame)}))
        tx.run("evaluation_publish", incoming_evaluation=evaluated)
        tx.run("prediction_backtest", {"kind": BACKTEST}, incoming_predictions=offered)
        tx.run("look_publish", {"split": "final"}, incoming_predictions=looks)

    lake.transact(work)


def require_unopened(lake: Lake, frame: pa.Table) -> None:
    """Raise HoldoutError if a final holdout with a session of `frame` was opened before."""
    _refuse_opened(lake.read("holdout_looks", {"sessions": _sessions(frame)}))


def _sessions(frame: pa.Table) -> list[date]:
    return sorted(set(frame["session"].to_pylist()))


def _refuse_opened(found: pa.Table) -> None:
    if found.num_rows:
        first = found.slice(0, 1).to_pylist()[0]
        raise HoldoutError(
            f"This final holdout was opened on {first['looked_at']:%Y-%m-%d %H:%M} UTC, as that of "
            f"data set {first['dataset_id']} for {first['model_id'] or first['predictor']}; one "
            "look is all it has. `newsvane report` shows what it showed; for another, wait for "
            "sessions that nobody has seen."
        )


def holdout_opened(lake: Lake, dataset_id: str) -> bool:
    """Whether the final holdout of one data set was opened."""
    opened = lake.read("holdouts_opened")["dataset_id"].to_pylist()
    return dataset_id in opened


def holdout_history(lake: Lake, dataset_id: str) -> dict[str, int]:
    """Other looks at an opened holdout's sessions: before, after, and models' forward records."""
    (row,) = lake.read("holdout_history", {"dataset_id": dataset_id}).to_pylist()
    return dict(row)


def looks_overlapping(
    lake: Lake,
    dataset_id: str,
    split: str,
    predictor: str,
    model_id: str | None,
    *,
    uncounted: Sequence[str],
) -> pa.Table:
    """The looks that saw a session which this predictor's latest look saw, its own first.

    Columns: look_id, predictor, model_id, asked (its own), stored (its predictions are still
    there). `uncounted`: predictors whose looks do not count against others.
    """
    about = {"dataset_id": dataset_id, "split": split, "predictor": predictor}
    more = {"model_id": model_id, "uncounted": list(uncounted)}
    return lake.read("looks_overlapping", about | more)


def look_predictions(
    lake: Lake, look_ids: pa.Array | pa.ChunkedArray, baselines: Sequence[str]
) -> pa.Table:
    """P(up) of these looks and of the `baselines` beside them (see the statement of this name)."""
    wanted = pa.table({"look_id": look_ids})
    return lake.read("look_predictions", {"baselines": list(baselines)}, wanted_looks=wanted)


def models_judged(lake: Lake, sessions: Sequence[date]) -> tuple[str, ...]:
    """The models judged on one of these sessions, in a back-test or by forward predictions."""
    found = lake.read("models_judged", {"sessions": list(sessions)})
    return tuple(found["model_id"].to_pylist())
