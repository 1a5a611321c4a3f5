"""Predictions: of back-tests, and forward ones, which are written once, in time, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake
from warehouse.tables.schemas import PREDICTIONS

_AT = PREDICTIONS.field("predicted_at").type

BACKTEST, RECALL = "backtest", "recall"
"""Kinds of predictions made when the outcome is known: with news, and from memory alone."""

PREDICTED = ("spec_id", "example_id", "ticker", "session", "decision_ts")
"""What a prediction takes over from its example."""


@dataclass(frozen=True, slots=True)
class ForwardPublication:
    """What became of the predictions offered in one commit.

    `refused` has one row per prediction that was not taken, with its status: late (its window had
    begun), backdated (before the last seal of the chain) or already committed (with another
    P(up)). `repeated` ones were stored before with the same P(up).
    """

    added: int
    repeated: int
    refused: pa.Table


def store_backtest(
    lake: Lake,
    frame: pa.Table,
    predictions: Mapping[str, Any],
    *,
    dataset_id: str,
    model_ids: Mapping[str, str],
    now: datetime,
    kind: str = BACKTEST,
) -> None:
    """Store every predictor's P(up) on `frame` as predictions of kind backtest, or recall.

    `frame`: see `evaluation_frame`; `predictions`: predictor to P(up) aligned to its rows. `now`
    is UTC. Storing equal probabilities again commits nothing.
    """
    shared = frame.select(PREDICTED)
    rows = predictions_of(shared, predictions, model_ids, dataset_id, now)
    parameters = {"kind": kind}
    lake.transact(lambda tx: tx.run("prediction_backtest", parameters, incoming_predictions=rows))


def recall_prompts(
    lake: Lake, spec_id: str, template: str, example_ids: pa.Array | pa.ChunkedArray
) -> pa.Table:
    """The question about each example without news: example_id, input, label_up, in their order.

    `template`: a format string with ticker and session as its first two places.
    """
    wanted = pa.table({"example_id": example_ids, "position": pa.array(range(len(example_ids)))})
    parameters = {"spec_id": spec_id, "template": template}
    return lake.read("recall_prompts", parameters, wanted_examples=wanted)


def read_predictions(lake: Lake, dataset_id: str, kind: str = BACKTEST) -> pa.Table:
    """The stored predictions of one data set and kind."""
    return lake.read("prediction_rows", {"dataset_id": dataset_id, "kind": kind})


def upcoming_examples(lake: Lake, spec_id: str, *, now: datetime) -> pa.Table:
    """The examples of the next session not yet begun at `now` (UTC), one row per ticker with news.

    Columns: spec_id, example_id, ticker, session, decision_ts, label_start_ts, previous_return,
    headline_ids, input, features.
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
    rows = predictions_of(frame, predictions, model_ids, dataset_id, now)
    offered = lake.transact(lambda tx: tx.run("prediction_forward", incoming_predictions=rows))
    counted = {
        row["values"]: row["counts"] for row in pc.value_counts(offered["status"]).to_pylist()
    }
    taken = pc.is_in(offered["status"], pa.array(["added", "repeated"]))
    return ForwardPublication(
        added=counted.get("added", 0),
        repeated=counted.get("repeated", 0),
        refused=offered.filter(pc.invert(taken)),
    )


def calls_of(
    lake: Lake, frame: pa.Table, predictions: Mapping[str, Any], model_ids: Mapping[str, str]
) -> pa.Table:
    """Each predictor's P(up) on `frame` as a call: up, down, or no call by the model's evaluation.

    Columns: ticker, session, decision_ts, predictor, p_up, call, rank (1: the highest P(up)).
    """
    parts = [
        frame.select(["ticker", "session", "decision_ts"])
        .append_column("predictor", pa.array([name] * frame.num_rows, pa.string()))
        .append_column("model_id", pa.array([model_ids.get(name)] * frame.num_rows, pa.string()))
        .append_column("p_up", pa.array(p_up, pa.float64()))
        for name, p_up in predictions.items()
    ]
    return lake.read("prediction_calls", incoming_predictions=pa.concat_tables(parts))


def forward_states(lake: Lake, *, now: datetime, spec_id: str | None = None) -> pa.Table:
    """Every forward prediction, by whose record it is in and in which state at `now` (UTC).

    One row per forward prediction, and one per example for each rule that needs no model; of one
    spec's examples, or of all. Columns: predictor (the model_id, or a baseline's name), model_id,
    rule, spec_id, example_id, ticker, session, p_up, predicted_at, headlines, rewritten, label,
    label_up, label_start_ts, label_end_ts, previous_return, availability, state (see the statement
    `forward_states`).
    """
    return lake.read("forward_states", {"now": now, "spec_id": spec_id})


def pending_predictions(lake: Lake, spec_id: str, *, now: datetime) -> pa.Table:
    """Why the other forward predictions have no outcome yet: predictor, reason, n."""
    return lake.read("score_pending", {"spec_id": spec_id, "now": now})


def predictions_of(
    frame: pa.Table,
    predictions: Mapping[str, Any],
    model_ids: Mapping[str, str],
    dataset_id: str | None,
    now: datetime,
) -> pa.Table:
    """`frame` once per predictor, with its P(up), its model and when it was made (UTC)."""
    size = frame.num_rows
    parts = [
        frame.append_column("predictor", pa.array([name] * size, pa.string()))
        .append_column("model_id", pa.array([model_ids.get(name)] * size, pa.string()))
        .append_column("dataset_id", pa.array([dataset_id] * size, pa.string()))
        .append_column("p_up", pa.array(p_up, pa.float64()))
        .append_column("predicted_at", pa.array([now] * size, _AT))
        for name, p_up in predictions.items()
    ]
    return pa.concat_tables(parts)
