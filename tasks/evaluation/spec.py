"""Evaluation settings, and the names of predictors: stored, and for display."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.evaluation.published import PUBLISHED

FINE_TUNED = "fine_tuned"
MAJORITY = "majority"
PREVIOUS_DIRECTION = "previous_direction"
MOMENTUM = "momentum"
TFIDF_LOGISTIC = "tfidf_logistic"
NUMERIC_LOGISTIC = "numeric_logistic"
ZERO_SHOT = "zero_shot"
ALWAYS_UP = "always_up"
"""A rule that needs no fit; the forward record holds models against it."""

# A trivial baseline knows nothing about what this data set teaches; a claim of skill must beat
# all of them. The reference models were fitted to the same text or numbers, so matching them is no
# disgrace.
TRIVIAL = (MAJORITY, PREVIOUS_DIRECTION, MOMENTUM, ZERO_SHOT)
REFERENCE = (TFIDF_LOGISTIC, NUMERIC_LOGISTIC)

# Fitted to the text itself, so they may have learned names from it.
TEXT_PREDICTORS = (FINE_TUNED, TFIDF_LOGISTIC)

TEST, WALK_FORWARD = "test", "walk_forward"
"""Splits that evaluations are stored under, besides the final holdout."""

_LABELS = {
    FINE_TUNED: "fine-tuned model",
    MAJORITY: "majority class",
    PREVIOUS_DIRECTION: "previous direction",
    MOMENTUM: "momentum",
    TFIDF_LOGISTIC: "TF-IDF regression",
    NUMERIC_LOGISTIC: "regression on numbers",
    ZERO_SHOT: "base model, untrained",
    ALWAYS_UP: "always up",
}


class EvaluationError(ValueError):
    """The examples or predictions cannot be evaluated as given; the message says what to fix."""


def predictor_label(name: str, stage: str | None = None) -> str:
    """A predictor's name for display; a model goes by its id, shortened where it is a hash.

    `name`: a predictor's name or a model_id. `stage`: the model's, so that the champion is shown
    as the fine-tuned model.
    """
    short = name[:8] if re.fullmatch(r"[0-9a-f]{16,}", name) else name
    if stage == "champion":
        return f"{_LABELS[FINE_TUNED]} {short}"
    if short != name:
        return f"model {short}"
    return _LABELS.get(name, name.replace("_", " "))


class TradingSpec(BaseModel):
    """The costs and the rule of the trading illustration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost: float = Field(default=0.0005, ge=0.0, lt=0.1)
    """Paid on each side of a trade, as a fraction of its value (0.0005: 5 basis points)."""
    band: float = Field(default=0.0, ge=0.0, lt=0.5)
    """A position is taken when P(up) is at least so far from one half."""
    short: bool = True
    """Whether bets on a fall are allowed."""


class AbstentionSpec(BaseModel):
    """The share of calls that may be wrong, once the doubtful ones are not made.

    The threshold on P(up) is chosen on the validation split; see `abstention`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: float = Field(default=0.4, gt=0.0, lt=0.5)
    """The error stays below this share on sessions like those."""
    level: float = Field(default=0.9, gt=0.5, lt=1.0)
    """Confidence with which it does."""


class EvaluationSpec(BaseModel):
    """How predictors are evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    """Seed of every draw."""
    resamples: int = Field(default=2000, ge=100)
    """Bootstrap draws of blocks of sessions."""
    level: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Coverage of every interval."""
    clip: float = Field(default=1e-6, gt=0.0, lt=0.01)
    """Bounds probabilities away from 0 and 1 in the cross-entropy."""
    bins: int = Field(default=10, ge=2, le=100)
    """Bins of the reliability table."""
    by_ticker: bool = True
    """Whether each ticker is a slice."""
    period: Literal["month", "quarter", "year"] | None = "quarter"
    """Calendar period that is a slice; none: no such slices."""
    candidate: str | None = None
    """Predictor whose verdict comes first; none: the first that was fitted."""
    decided_by: Literal["accuracy", "cross_entropy"] = "accuracy"
    """Paired difference that the verdict rests on."""
    synthetic: bool = False
    """Declares a market whose news was written by us, where results above the literature are no
    sign of a leak."""
    collapse_share: float = Field(default=0.02, ge=0.0, lt=0.5)
    """A predictor with no more calls than this share on one side counts as one that always says the
    same."""
    literature_accuracy: float = Field(default=PUBLISHED.alarm.accuracy, gt=0.5, lt=1.0)
    """Accuracy above which a single split is suspected of a leak; higher figures were published,
    and their file (published.toml) says why the bound stays."""
    literature_mcc: float = Field(default=PUBLISHED.alarm.mcc, gt=0.0, lt=1.0)
    """The same for the MCC."""
    claimed_edge: float = Field(default=0.02, gt=0.0, lt=0.5)
    """Difference in accuracy for which the number of rows needed is reported."""
    power: float = Field(default=0.8, gt=0.5, lt=1.0)
    """Power of that number, and of the difference the test could have shown."""
    calibration: Literal["platt", "temperature", "isotonic"] = "platt"
    """Map of probabilities that is fitted on the validation split."""
    recall_rows: int = Field(default=2000, ge=0)
    """Most test examples that the recall probe of a base model asks about, drawn by `seed`; 0:
    none."""
    trading: TradingSpec = TradingSpec()
    """Costs of the illustration."""
    abstention: AbstentionSpec = AbstentionSpec()
    """Which error calls may have."""
