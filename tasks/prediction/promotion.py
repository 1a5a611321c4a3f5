"""Promotion: comparisons of models, the sequential test of a challenger, the weekly decision."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.evaluation.looks import Look, correct
from tasks.evaluation.sequential import brier_lead_of, lead_of, level_of_test, lower_bound
from tasks.evaluation.slices import Comparison, compare
from tasks.evaluation.spec import EvaluationSpec
from tasks.evaluation.verdict import Correction
from tasks.prediction.registry import (
    RegistryError,
    RetrainSpec,
    champion,
    check_adapter,
    nominate,
    show_model,
)
from warehouse.lake import Lake, LakeError
from warehouse.tables.looks import models_judged
from warehouse.tables.models import promotion_test_number, read_models, read_unseen, set_stage


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
class PromotionTest:
    """The sequential test of a challenger against a champion, on forward predictions of both.

    `number`: how many such tests have begun, this one included. `alpha`: the chance of a false
    promotion it may spend, over all of time. `bound`: of the mean `lead`, from below, at `alpha`.
    `score`: what is compared, accuracy or the Brier score.
    """

    challenger: str
    champion: str
    number: int
    alpha: float
    score: str
    lead: float
    bound: float
    n_examples: int
    n_sessions: int

    @property
    def won(self) -> bool:
        """Whether the lead's bound lies above zero."""
        return self.bound > 0.0

    def tried(self, spec: RetrainSpec) -> bool:
        """Whether the challenger has had its trial."""
        behind = self.lead <= 0.0
        return self.n_sessions >= (spec.trial if behind else 2 * spec.trial)

    @property
    def words(self) -> str:
        """The outcome in words, with the numbers."""
        if not self.n_examples:
            return (
                f"{self.challenger} and {self.champion} share no forward prediction with an "
                "outcome yet; let both predict for some sessions."
            )
        outcome = "beats" if self.won else "is not shown to beat"
        return (
            f"{self.challenger} {outcome} {self.champion} in {self.score}: lead "
            f"{100 * self.lead:+.1f} points, above {100 * self.bound:+.1f} at every look, on "
            f"{self.n_examples:,} forward predictions in {self.n_sessions:,} sessions (test "
            f"{self.number}, which may be wrong with a chance of {self.alpha:.4f})."
        )


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """The champion after a week's comparison, whether it is new, and why, in words."""

    champion: str
    changed: bool
    words: str


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


def promotion_test(
    lake: Lake, challenger: str, champion: str, spec: EvaluationSpec | None = None
) -> PromotionTest:
    """The e-process of a challenger against a champion as it stands; it may be looked at any time.

    It bets on forward predictions of both alone, which nobody can choose from, on sessions that
    neither was fitted on: that the challenger is right more often, or, where the spec decides by
    cross-entropy, that its Brier score is lower (a proper score too, and bounded, as bets must
    be). Each pair is numbered when first tested and may spend its share of 1 - level. Raises
    LakeError when a model's data set is not registered here.
    """
    spec = spec or EvaluationSpec()
    number = promotion_test_number(lake, challenger, champion)
    alpha = level_of_test(number, 1 - spec.level)
    unseen = read_unseen(lake, challenger, champion)
    unseen = unseen.filter(unseen["forward"])
    pair = (unseen["challenger_p_up"].to_numpy(), unseen["champion_p_up"].to_numpy())
    by_brier = spec.decided_by == "cross_entropy"
    gains = brier_lead_of(unseen, *pair) if by_brier else lead_of(unseen, *pair)
    return PromotionTest(
        challenger=challenger,
        champion=champion,
        number=number,
        alpha=alpha,
        score="Brier score" if by_brier else "accuracy",
        lead=gains.mean,
        bound=lower_bound(gains, alpha),
        n_examples=unseen.num_rows,
        n_sessions=len(gains.rows),
    )


def promote(lake: Lake, model_id: str, spec: EvaluationSpec | None = None) -> PromotionTest | None:
    """Make a model the champion if it has earned it, and retire the present one.

    Its adapter must hash to what was stored. With a champion in place its lead must be shown by
    their sequential test (`promotion_test`); the first champion is unopposed (None is returned).
    Promoting the champion changes nothing. Raises RegistryError, and changes nothing, otherwise.
    """
    model = show_model(lake, model_id)
    check_adapter(model)
    holder = champion(lake)
    found = None
    if holder is not None:
        if holder.model_id == model.model_id:
            return None
        found = promotion_test(lake, model.model_id, holder.model_id, spec)
        if not found.won:
            raise RegistryError(f"Not promoted: {found.words}")
    set_stage(lake, model.model_id, "champion")
    return found


def decide_promotion(
    lake: Lake, model_id: str, spec: RetrainSpec, evaluation: EvaluationSpec | None = None
) -> PromotionDecision:
    """Enter a new model and decide which model is champion.

    The first champion is unopposed. After that each challenger, the oldest first, is tested
    against the champion (`promotion_test`), as often as one likes: the first to be shown better
    takes its place. Challengers tried in vain (`RetrainSpec`) retire, and the new model takes a
    free place; without one it stays a candidate. Entering the champion again changes
    nothing.
    """
    holder = champion(lake)
    if holder is None:
        promote(lake, model_id, evaluation)
        return PromotionDecision(model_id, True, f"{model_id} is the first champion.")
    standing = [model.model_id for model in read_models(lake) if model.stage == "challenger"]
    words: list[str] = []
    for challenger in reversed(standing):
        check_adapter(show_model(lake, challenger))
        found = promotion_test(lake, challenger, holder.model_id, evaluation)
        words.append(found.words)
        if found.won:
            set_stage(lake, challenger, "champion")
            return PromotionDecision(challenger, True, found.words)
        if found.tried(spec):
            set_stage(lake, challenger, "retired")
            standing.remove(challenger)
    if show_model(lake, model_id).stage == "candidate":
        if len(standing) < spec.challengers:
            nominate(lake, model_id)
            words.append(f"{model_id} is a challenger from now on.")
        else:
            words.append(f"{model_id} stays a candidate: {len(standing)} challengers are on trial.")
    return PromotionDecision(
        holder.model_id, False, " ".join(words) or f"{model_id} stays champion."
    )
