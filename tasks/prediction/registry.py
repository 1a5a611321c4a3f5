"""Model registry: which models there are, their stages, and who predicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from tasks.dataset.spec.split import SplitSpec
from tasks.evaluation.looks import corrected
from tasks.evaluation.spec import FINE_TUNED, TEST, EvaluationSpec
from tasks.evaluation.verdict import Verdict, read_verdicts
from warehouse.lake import Lake
from warehouse.storage.atomic import file_sha256
from warehouse.tables.models import (
    Model,
    read_models,
    set_stage,
    store_model,
)

if TYPE_CHECKING:
    from tasks.training.job import FinetuneResult

ADAPTER_FILE = "adapter_model.safetensors"


class RegistryError(RuntimeError):
    """A model is unknown, altered, or has not earned promotion; the message says which and why."""


class RetrainingError(ValueError):
    """There is not enough history to train on; the message says how much is missing."""


class RetrainSpec(BaseModel):
    """How many sessions a new model learns from, is selected on and is evaluated on.

    The model learns from every session before, since the configured split's `start`. A challenger
    keeps its place until it is promoted, is behind after `trial` sessions of its test, or has been
    tested for twice as many; meanwhile new models stay candidates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: int = Field(default=20, ge=1)
    """Sessions before the test that select the model."""
    test: int = Field(default=40, ge=1)
    """Latest sessions, which evaluate it."""
    challengers: int = Field(default=2, ge=1)
    """Most challengers that predict beside the champion."""
    trial: int = Field(default=250, ge=1)
    """Sessions of its test after which a challenger that is behind loses its place."""


def register(lake: Lake, result: FinetuneResult, *, now: datetime) -> Model:
    """Store what a training process answered as a candidate, and return the model.

    `now` is UTC. A model that is there keeps its stage.
    """
    model = Model(**result.model_dump(exclude={"kind", "scores"}), created_at=now)
    store_model(lake, model)
    return model


def show_model(lake: Lake, model_id: str) -> Model:
    """One model by its id, or by a beginning of it that fits no other. Raises RegistryError."""
    models = read_models(lake)
    found = [model for model in models if model.model_id.startswith(model_id)]
    exact = [model for model in found if model.model_id == model_id]
    if len(exact or found) != 1:
        known = ", ".join(model.model_id for model in models) or "none"
        raise RegistryError(
            f"{len(found)} models are called {model_id!r}; expected one of: {known}. "
            "Give an id from `newsvane models list`."
        )
    return (exact or found)[0]


def model_verdict(lake: Lake, model: Model, spec: EvaluationSpec) -> Verdict | None:
    """The verdict on a model's own test split, as it stands with today's looks; None without one.

    It says as well what the base model remembers of those sessions.
    """
    about = {"dataset_id": model.dataset_id, "model_id": model.model_id}
    verdicts = read_verdicts(lake.read("model_evaluation", about), spec)
    models = {verdict.predictor: model.model_id for verdict in verdicts}
    found = corrected(
        lake, verdicts, spec, dataset_id=model.dataset_id, split=TEST, model_ids=models
    )
    return next(iter(found), None)


def champion(lake: Lake) -> Model | None:
    """The champion, if any model was promoted yet."""
    return next((model for model in read_models(lake) if model.stage == "champion"), None)


def active_models(lake: Lake, spec_id: str) -> dict[str, Model]:
    """The models that predict, by predictor name: the champion first, then its challengers.

    The champion (the newest model, while none was promoted) predicts as `fine_tuned`, challengers
    under their own ids. Only models that learned from examples of the spec take part, and only
    with the very adapter that was registered. Raises RegistryError for an altered adapter.
    """
    learned = lake.read("datasets_of_spec", {"spec_id": spec_id})
    fitting = set(learned["dataset_id"].to_pylist())
    models = [model for model in read_models(lake) if model.dataset_id in fitting]
    champions = [model for model in models if model.stage == "champion"] or models[:1]
    active = dict(zip((FINE_TUNED,), champions, strict=False))
    active |= {model.model_id: model for model in models if model.stage == "challenger"}
    for model in active.values():
        check_adapter(model)
    return active


def nominate(lake: Lake, model_id: str) -> Model:
    """Make a candidate a challenger: it predicts forward beside the champion."""
    model = show_model(lake, model_id)
    if model.stage == "champion":
        raise RegistryError(f"Model {model.model_id} is the champion; it has nobody to challenge.")
    check_adapter(model)
    set_stage(lake, model.model_id, "challenger")
    return show_model(lake, model.model_id)


def latest_split(sessions: Sequence[date], spec: RetrainSpec, base: SplitSpec) -> SplitSpec:
    """`base` with its cuts moved to the end of `sessions` (finished, distinct, ascending).

    A final holdout stays set aside: the cuts lie before it. Raises RetrainingError when no session
    would be left to learn from.
    """
    known = [day for day in sessions if base.start is None or day >= base.start]
    ends = known[-1:]
    if isinstance(base.final, int):
        known = known[: -base.final]
    elif base.final is not None:
        first = base.final
        known = [day for day in known if day < first]
        ends.append(first)  # it may lie ahead
    learnt = len(known) - spec.test - spec.validation
    if learnt < 1:
        raise RetrainingError(
            f"{len(known)} labelled sessions are known; {spec.validation} for validation and "
            f"{spec.test} for the test leave none to learn from. Backfill more, or lower "
            "[retraining] in the configuration."
        )
    return base.model_copy(
        update={
            "start": known[0],
            "train_until": known[learnt - 1],
            "validation_until": known[learnt + spec.validation - 1],
            "end": max(ends),
        }
    )


def adapter_hash(folder: Path) -> str:
    """sha256 of the adapter's weights, in hex. Raises RegistryError when they are not there."""
    path = folder / ADAPTER_FILE
    if not path.is_file():
        raise RegistryError(f"There is no {ADAPTER_FILE} in {folder}; restore it or train again.")
    return file_sha256(path)


def check_adapter(model: Model) -> None:
    """Raise RegistryError unless the adapter's bytes are those that were trained and evaluated."""
    found = adapter_hash(model.path)
    if found != model.adapter_sha256:
        raise RegistryError(
            f"The adapter of model {model.model_id} in {model.path} hashes to {found[:16]}…, "
            f"stored is {model.adapter_sha256[:16]}…: it is not what was evaluated. "
            "Restore it or train again."
        )
