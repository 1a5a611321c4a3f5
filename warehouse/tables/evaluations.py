"""Models, their predictions and their evaluations: stored idempotently, read back as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from warehouse.lake import Lake, LakeError, Transaction

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
_FRAME_COLUMNS = ("spec_id", "example_id", "ticker", "session", "decision_ts")


def evaluation_frame(lake: Lake, spec_id: str, example_ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The labelled examples asked for, in the order asked, as an evaluation wants them.

    Columns: spec_id, example_id, ticker, session, decision_ts, label_end_ts, label_up,
    label_return, previous_return, availability, input. Raises LakeError when an id has no
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
    """Store an evaluation's rows (slice, predictor, metric, value, ci_low, ci_high, n_*).

    `model_ids` maps the predictors that are models to their model_id; the others are stored with
    none. `now` is UTC. Storing equal numbers again commits nothing.
    """
    size = rows.num_rows
    models = [model_ids.get(name) for name in rows["predictor"].to_pylist()]
    full = (
        rows.append_column("dataset_id", pa.array([dataset_id] * size, pa.string()))
        .append_column("split", pa.array([split] * size, pa.string()))
        .append_column("model_id", pa.array(models, pa.string()))
        .append_column("evaluated_at", pa.array([now] * size, UTC_MICROSECONDS))
    )
    lake.transact(lambda tx: tx.run("evaluation_publish", incoming_evaluation=full))


def read_evaluation(lake: Lake, dataset_id: str, split: str) -> pa.Table:
    """The stored evaluation rows of one data set and split."""
    return lake.read("evaluation_rows", {"dataset_id": dataset_id, "split": split})


def store_backtest(
    lake: Lake,
    frame: pa.Table,
    predictions: Mapping[str, Any],
    *,
    dataset_id: str,
    model_ids: Mapping[str, str],
    now: datetime,
) -> None:
    """Store every predictor's P(up) on `frame` as predictions of kind backtest.

    `frame`: see `evaluation_frame`; `predictions`: predictor to P(up) aligned to its rows. `now`
    is UTC. Storing equal probabilities again commits nothing.
    """
    size = frame.num_rows
    shared = frame.select(_FRAME_COLUMNS)
    parts = [
        shared.append_column("predictor", pa.array([name] * size, pa.string()))
        .append_column("model_id", pa.array([model_ids.get(name)] * size, pa.string()))
        .append_column("dataset_id", pa.array([dataset_id] * size, pa.string()))
        .append_column("p_up", pa.array(p_up, pa.float64()))
        .append_column("predicted_at", pa.array([now] * size, UTC_MICROSECONDS))
        for name, p_up in predictions.items()
    ]
    rows = pa.concat_tables(parts)
    lake.transact(lambda tx: tx.run("prediction_backtest", incoming_predictions=rows))


def read_predictions(lake: Lake, dataset_id: str, kind: str = "backtest") -> pa.Table:
    """The stored predictions of one data set and kind."""
    return lake.read("prediction_rows", {"dataset_id": dataset_id, "kind": kind})


def store_model(lake: Lake, model: Mapping[str, Any], *, now: datetime) -> None:
    """Store one fine-tuned model as a candidate.

    `model`: model_id, dataset_id, recipe_name, base_model, adapter_sha256, path, seed, and the
    mappings recipe, environment, metrics (stored as JSON). Storing it again keeps its stage and
    its created_at, and commits nothing when nothing changed. Raises LakeError when other weights
    come under the id of a model that was nominated or promoted.
    """
    documents = {
        name: json.dumps(model[name], sort_keys=True, default=str)
        for name in ("recipe", "environment", "metrics")
    }
    row = {**model, **documents, "stage": "candidate", "created_at": now}
    table = pa.Table.from_pylist([row], schema=_MODEL)

    def work(tx: Transaction) -> None:
        frozen = tx.read("model_frozen", incoming_models=table)
        if frozen.num_rows:
            raise LakeError(
                f"Model {model['model_id']} is {frozen['stage'][0]} with the adapter "
                f"{frozen['adapter_sha256'][0]}; got {model['adapter_sha256']} under the same id. "
                "Train with another seed, or restore the adapter that was evaluated."
            )
        tx.run("model_publish", incoming_models=table)

    lake.transact(work)


def read_models(lake: Lake) -> pa.Table:
    """All models, newest first."""
    return lake.read("model_rows")


def read_unseen(lake: Lake, challenger: str, champion: str) -> pa.Table:
    """Labelled examples both models predicted and neither was trained or tuned on.

    Columns: example_id, ticker, session, label_up, availability, challenger_p_up,
    champion_p_up. Raises LakeError when a model's data set is not registered here, because then
    nobody knows what it has seen.
    """
    pair = {"challenger": challenger, "champion": champion}
    known = set(lake.read("model_registered", pair)["model_id"].to_pylist())
    unknown = sorted({challenger, champion} - known)
    if unknown:
        raise LakeError(
            f"The data set of {', '.join(unknown)} is not registered in this warehouse, so what "
            "the model has seen is unknown. Build that data set here first."
        )
    return lake.read("model_unseen", pair)


def set_stage(lake: Lake, model_id: str, stage: str) -> None:
    """Move a model to a stage; a new champion retires the old one in the same commit."""
    parameters = {"model_id": model_id, "stage": stage}
    lake.transact(lambda tx: tx.run("model_stage", parameters))


_MODEL = pa.schema(
    [
        *(
            (name, pa.string())
            for name in (
                "model_id",
                "dataset_id",
                "recipe_name",
                "base_model",
                "adapter_sha256",
                "path",
            )
        ),
        ("seed", pa.int32()),
        *((name, pa.string()) for name in ("recipe", "environment", "metrics", "stage")),
        ("created_at", UTC_MICROSECONDS),
    ]
)
