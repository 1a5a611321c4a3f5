"""Predictions made before the outcome: written once, in time, never changed; scored when mature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class ForwardPublication:
    """What became of the predictions offered in one commit.

    `refused` has one row per prediction that was not taken, with its fate: late (its window had
    begun), backdated (before the last seal of the chain) or already committed (with another
    P(up)). `repeated` ones were stored before with the same P(up).
    """

    added: int
    repeated: int
    refused: pa.Table


def upcoming_examples(lake: Lake, spec_id: str, *, now: datetime) -> pa.Table:
    """The examples of the next session not yet begun at `now` (UTC), one row per ticker with news.

    Columns: spec_id, example_id, ticker, session, decision_ts, label_start_ts, previous_return,
    headline_ids, input.
    """
    return lake.read("prediction_upcoming", {"spec_id": spec_id, "now": now})


def store_forward(
    lake: Lake,
    frame: pa.Table,
    predictions: Mapping[str, Any],
    *,
    model_ids: Mapping[str, str],
    dataset_id: str | None,
    now: datetime,
) -> ForwardPublication:
    """Commit each predictor's P(up) on `frame` (see `upcoming_examples`) as made at `now` (UTC).

    What comes too late, or contradicts what is committed, is refused and reported, never written.
    Take `now` from the clock right before the call. Offering the same again commits nothing.
    """
    size = frame.num_rows
    parts = [
        frame.append_column("predictor", pa.array([name] * size, pa.string()))
        .append_column("model_id", pa.array([model_ids.get(name)] * size, pa.string()))
        .append_column("dataset_id", pa.array([dataset_id] * size, pa.string()))
        .append_column("p_up", pa.array(p_up, pa.float64()))
        .append_column("predicted_at", pa.array([now] * size, UTC_MICROSECONDS))
        for name, p_up in predictions.items()
    ]
    rows = pa.concat_tables(parts)
    fates = lake.transact(lambda tx: tx.run("prediction_forward", incoming_predictions=rows))
    counted = {row["values"]: row["counts"] for row in pc.value_counts(fates["fate"]).to_pylist()}
    taken = pc.is_in(fates["fate"], pa.array(["added", "repeated"]))
    return ForwardPublication(
        added=counted.get("added", 0),
        repeated=counted.get("repeated", 0),
        refused=fates.filter(pc.invert(taken)),
    )


def matured_predictions(lake: Lake, spec_id: str, *, now: datetime) -> pa.Table:
    """Forward predictions whose outcome is final at `now` (UTC): one row per predictor and example.

    Of several predictions under one predictor's name the first committed counts. A prediction
    stored at or after the start of its window, by whatever road, never counts.
    """
    return lake.read("score_matured", {"spec_id": spec_id, "now": now})


def pending_predictions(lake: Lake, spec_id: str, *, now: datetime) -> pa.Table:
    """Why the other forward predictions have no outcome yet: predictor, reason, n."""
    return lake.read("score_pending", {"spec_id": spec_id, "now": now})
