"""Models: the registry's rows stored idempotently, their stages, and what a pair has not seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.lake import Lake, LakeError, Transaction
from warehouse.tables.schemas import MODELS

_DOCUMENTS = ("recipe", "environment", "metrics")


@dataclass(frozen=True, slots=True)
class Model:
    """One fine-tuned model: a base model plus the adapter in the folder `path`.

    `adapter_sha256`: hex, of the adapter's weights. `recipe`, `environment`, `metrics`: documents
    (stored as JSON). `stage`: candidate | challenger | champion | retired. `created_at` is UTC.
    """

    model_id: str
    dataset_id: str
    recipe_name: str
    base_model: str
    adapter_sha256: str
    path: Path
    seed: int
    recipe: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Any]
    created_at: datetime
    stage: str = "candidate"


def store_model(lake: Lake, model: Model) -> None:
    """Store one fine-tuned model; one that is there keeps its stage and created_at.

    Commits nothing when nothing changed. Raises LakeError when other weights come under the id of
    a model that was nominated or promoted.
    """
    documents = {
        name: json.dumps(getattr(model, name), sort_keys=True, default=str) for name in _DOCUMENTS
    }
    row = {**asdict(model), **documents, "path": lake.spec.named(model.path)}
    table = pa.Table.from_pylist([row], schema=MODELS)

    def work(tx: Transaction) -> None:
        frozen = tx.read("model_frozen", incoming_models=table)
        if frozen.num_rows:
            raise LakeError(
                f"Model {model.model_id} is {frozen['stage'][0]} with the adapter "
                f"{frozen['adapter_sha256'][0]}; got {model.adapter_sha256} under the same id. "
                "Train with another seed, or restore the adapter that was evaluated."
            )
        tx.run("model_publish", incoming_models=table)

    lake.transact(work)


def read_models(lake: Lake) -> tuple[Model, ...]:
    """All models, newest first."""
    return tuple(
        Model(
            **{
                **row,
                **{name: json.loads(row[name]) for name in _DOCUMENTS},
                "path": lake.spec.placed(row["path"]),
            }
        )
        for row in lake.read("model_rows").to_pylist()
    )


def read_unseen(lake: Lake, challenger: str, champion: str) -> pa.Table:
    """Labelled examples both models predicted and neither was trained or tuned on.

    Columns: example_id, ticker, session, label_start_ts, label_end_ts, label_up, availability,
    challenger_p_up, champion_p_up, forward (whether both were made before the
    outcome). Raises LakeError when a model's data set is not registered here, because then nobody
    knows what it has seen.
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


def models_seen(lake: Lake, model_ids: Sequence[str]) -> dict[str, datetime]:
    """The end (UTC) of the last outcome each model can have learned from, where that is known."""
    rows = lake.read("models_seen", {"model_ids": list(model_ids)}).to_pylist()
    return {row["model_id"]: row["seen_until"] for row in rows}


def promotion_test_number(lake: Lake, challenger: str, champion: str) -> int:
    """The number of the test of this pair, from 1 in the order in which tests began; kept."""
    pair = {"challenger": challenger, "champion": champion}
    found = lake.transact(lambda tx: tx.run("promotion_test_number", pair))
    return int(found["test_no"][0].as_py())


def set_stage(lake: Lake, model_id: str, stage: str) -> None:
    """Move a model to a stage; a new champion retires the old one in the same commit."""
    parameters = {"model_id": model_id, "stage": stage}
    lake.transact(lambda tx: tx.run("model_stage", parameters))
