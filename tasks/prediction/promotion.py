"""Weekly promotion decision: the sessions a new model learns from, and the champion afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from tasks.dataset.spec.split import SplitSpec
from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.registry import (
    RegistryError,
    champion,
    nominate,
    promote,
    show_model,
)
from warehouse.lake import Lake
from warehouse.tables.models import read_models, set_stage


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
class PromotionDecision:
    """The champion after a week's contest, whether it is new, and why, in words."""

    champion: str
    changed: bool
    words: str


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
            contest = promote(lake, challenger, evaluation)
        except RegistryError as reason:
            refused.append(str(reason))
            continue
        return PromotionDecision(challenger, True, contest.words if contest else challenger)
    for surplus in standing[spec.challengers :]:
        set_stage(lake, surplus, "retired")
    return PromotionDecision(
        holder.model_id, False, " ".join(refused) or f"{model_id} stays champion."
    )
