"""Model registry: champion, challengers, the rule of promotion and the weekly decision by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from tasks.dataset.spec.split import SplitSpec
from tasks.evaluation.looks import Look, correct
from tasks.evaluation.slices import Comparison, compare
from tasks.evaluation.spec import FINE_TUNED, EvaluationSpec
from tasks.evaluation.verdict import Correction
from warehouse.lake import Lake, LakeError
from warehouse.storage.atomic import file_sha256
from warehouse.tables.looks import models_judged
from warehouse.tables.models import Model, read_models, read_unseen, set_stage, store_model

if TYPE_CHECKING:
    from tasks.training.job import FinetuneResult

ADAPTER_FILE = "adapter_model.safetensors"


class RegistryError(RuntimeError):
    """A model is unknown, altered, or has not earned promotion; the message says which and why."""


class RetrainingError(ValueError):
    """There is not enough history to train on; the message says how much is missing."""


class RetrainSpec(BaseModel):
    """The latest `test` sessions evaluate a new model, the `validation` before them select it.

    The model learns from every session before, since the configured split's `start`. At most
    `challengers` predict beside the champion: the newest ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: int = Field(default=20, ge=1)
    test: int = Field(default=40, ge=1)
    challengers: int = Field(default=2, ge=1)


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """A challenger minus a champion on data neither has seen.

    `correction` counts every model judged on these sessions, each by its lead over the champion.
    """

    challenger: str
    champion: str
    comparison: Comparison
    n_examples: int
    n_sessions: int
    decided_by: str
    level: float
    correction: Correction

    @property
    def won(self) -> bool:
        """Whether the deciding interval excludes zero in the challenger's favour, looks counted."""
        counted = self.correction.judged == 1 or self.correction.p_corrected <= 1 - self.level
        return self.comparison.better(self.decided_by) and counted

    @property
    def words(self) -> str:
        """The outcome in words, with the numbers."""
        accuracy, entropy = self.comparison.accuracy, self.comparison.cross_entropy
        outcome = "beats" if self.won else "is not shown to beat"
        return (
            f"{self.challenger} {outcome} {self.champion} by {self.decided_by.replace('_', '-')}: "
            f"{100 * accuracy.value:+.1f} [{100 * accuracy.low:+.1f}, {100 * accuracy.high:+.1f}] "
            f"points of accuracy, {entropy.value:+.4f} [{entropy.low:+.4f}, {entropy.high:+.4f}] "
            f"nats, on {self.n_examples:,} examples in {self.n_sessions:,} sessions that neither "
            f"has seen. {self._looks}"
        )

    @property
    def _looks(self) -> str:
        found = self.correction
        if found.judged == 1:
            return "No other model was judged on these sessions."
        return (
            f"Counting all {found.judged:,} models judged on these sessions: p = "
            f"{found.p_corrected:.3f} (uncorrected {found.p_alone:.3f})."
        )


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """The champion after a week's comparison, whether it is new, and why, in words."""

    champion: str
    changed: bool
    words: str


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


def compare_models(
    lake: Lake, challenger: str, champion: str, spec: EvaluationSpec | None = None
) -> ModelComparison:
    """Challenger against champion, on examples that both predicted and neither was fitted on.

    An example counts when its decision came after every outcome in either model's training and
    validation splits. Raises RegistryError when there is none, or a data set is unknown here.
    """
    spec = spec or EvaluationSpec()
    first, second = show_model(lake, challenger), show_model(lake, champion)
    if first.model_id == second.model_id:
        raise RegistryError(f"Model {first.model_id} cannot be compared with itself; name two.")
    unseen = read_unseen(lake, first.model_id, second.model_id)
    if not unseen.num_rows:
        raise RegistryError(
            f"{first.model_id} and {second.model_id} share no labelled example that came after "
            "the training of both. Evaluate both on one later test split, or let both predict "
            "forward for some sessions."
        )
    comparison = compare(
        unseen,
        unseen["challenger_p_up"].to_numpy(),
        unseen["champion_p_up"].to_numpy(),
        spec,
        named=second.model_id,
    )
    return ModelComparison(
        challenger=first.model_id,
        champion=second.model_id,
        comparison=comparison,
        n_examples=unseen.num_rows,
        n_sessions=len(unseen["session"].unique()),
        decided_by=spec.decided_by,
        level=spec.level,
        correction=_correction(lake, unseen, first.model_id, second.model_id, spec),
    )


def _correction(
    lake: Lake, unseen: pa.Table, challenger: str, champion: str, spec: EvaluationSpec
) -> Correction:
    """The challenger's lead, corrected for every model judged on the sessions of `unseen`.

    A model that shares no unseen example with the champion has predictions that cannot be
    resampled beside the others; it counts all the same.
    """
    sessions = pc.unique(unseen["session"])
    judged = models_judged(lake, sessions.to_pylist())
    rivals = [name for name in judged if name not in (challenger, champion)]
    tables = [unseen, *(_unseen(lake, name, champion) for name in rivals)]
    shared = [
        table.filter(pc.is_in(table["session"], sessions)) for table in tables if table is not None
    ]
    looks = [
        Look(
            table,
            table["challenger_p_up"].to_numpy(),
            {champion: table["champion_p_up"].to_numpy()},
        )
        for table in shared
        if table.num_rows
    ]
    return correct(looks, spec, lost=len(tables) - len(looks))


def _unseen(lake: Lake, model_id: str, champion: str) -> pa.Table | None:
    try:
        return read_unseen(lake, model_id, champion)
    except LakeError:
        return None


def promote(
    lake: Lake, model_id: str, spec: EvaluationSpec | None = None
) -> ModelComparison | None:
    """Make a model the champion if it has earned it, and retire the present one.

    Its adapter must hash to what was stored. With a champion in place the paired interval on
    unseen data must exclude zero; the first champion is unopposed (None is returned). Promoting
    the champion changes nothing. Raises RegistryError, and changes nothing, otherwise.
    """
    model = show_model(lake, model_id)
    check_adapter(model)
    holder = champion(lake)
    comparison = None
    if holder is not None:
        if holder.model_id == model.model_id:
            return None
        comparison = compare_models(lake, model.model_id, holder.model_id, spec)
        if not comparison.won:
            raise RegistryError(f"Not promoted: {comparison.words}")
    set_stage(lake, model.model_id, "champion")
    return comparison


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

    Raises RetrainingError when no session would be left to learn from.
    """
    known = [day for day in sessions if base.start is None or day >= base.start]
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
            "end": known[-1],
        }
    )


def decide_promotion(
    lake: Lake, model_id: str, spec: RetrainSpec, evaluation: EvaluationSpec | None = None
) -> PromotionDecision:
    """Enter a new model and decide which model is champion.

    The first champion is unopposed. After that each challenger, the oldest first, is held against
    the champion on what both predicted and neither has seen, forward predictions above all
    (`registry.promote`); the first to beat it takes its place. Challengers beyond the newest
    `spec.challengers` retire. Entering the champion again changes nothing.
    """
    holder = champion(lake)
    if holder is None:
        promote(lake, model_id, evaluation)
        return PromotionDecision(model_id, True, f"{model_id} is the first champion.")
    if show_model(lake, model_id).stage == "candidate":
        nominate(lake, model_id)
    standing = [model.model_id for model in read_models(lake) if model.stage == "challenger"]
    refused: list[str] = []
    for challenger in reversed(standing):
        try:
            comparison = promote(lake, challenger, evaluation)
        except RegistryError as reason:
            refused.append(str(reason))
            continue
        return PromotionDecision(challenger, True, comparison.words if comparison else challenger)
    for surplus in standing[spec.challengers :]:
        set_stage(lake, surplus, "retired")
    return PromotionDecision(
        holder.model_id, False, " ".join(refused) or f"{model_id} stays champion."
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
