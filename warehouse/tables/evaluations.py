"""Evaluations: the labelled examples they are made on, and their metrics, stored idempotently."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from warehouse.lake import Lake, LakeError
from warehouse.tables.schemas import EVALUATIONS

_AT = EVALUATIONS.field("evaluated_at").type


def evaluation_frame(lake: Lake, spec_id: str, example_ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The labelled examples asked for, in the order asked, as an evaluation wants them.

    Columns: spec_id, example_id, ticker, session, decision_ts, label_start_ts, label_end_ts,
    label_up, label_return, previous_return, availability, input, features (own columns, NULL for a
    spec without any). Raises LakeError when an id has no
    labelled example, because predictions are aligned by position.
    """
    wanted = pa.table({"example_id": example_ids, "position": pa.array(range(len(example_ids)))})
    frame = lake.read("evaluation_frame", {"spec_id": spec_id}, wanted_examples=wanted)
    if frame.num_rows != wanted.num_rows:
        raise LakeError(
            f"Of {wanted.num_rows} examples asked for, {frame.num_rows} are stored with a label "
            f"under spec {spec_id!r}. Rebuild the data set from this warehouse first."
        )
    return frame


def store_evaluation(
    lake: Lake,
    rows: pa.Table,
    *,
    dataset_id: str,
    split: str,
    model_ids: Mapping[str, str],
    now: datetime,
) -> None:
    """Store an evaluation's rows (slice, predictor, metric, baseline, value, ci_*, n_*).

    `model_ids` maps the predictors that are models to their model_id; the others are stored with
    none. `now` is UTC. Storing equal numbers again commits nothing.
    """
    full = evaluation_rows(rows, dataset_id, split, model_ids, now)
    lake.transact(lambda tx: tx.run("evaluation_publish", incoming_evaluation=full))


def evaluation_rows(
    rows: pa.Table, dataset_id: str, split: str, model_ids: Mapping[str, str], now: datetime
) -> pa.Table:
    """An evaluation's rows with what it was made of and when (UTC)."""
    size = rows.num_rows
    models = [model_ids.get(name) for name in rows["predictor"].to_pylist()]
    return (
        rows.append_column("dataset_id", pa.array([dataset_id] * size, pa.string()))
        .append_column("split", pa.array([split] * size, pa.string()))
        .append_column("model_id", pa.array(models, pa.string()))
        .append_column("evaluated_at", pa.array([now] * size, _AT))
    )
