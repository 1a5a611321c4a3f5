"""Looks: every evaluation against the test sessions it saw, recorded once and never removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from warehouse.lake import Lake
from warehouse.tables.predictions import PREDICTED, predictions_of


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
