"""The verdict in words: what the intervals allow one to say, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from typing import Any, Protocol

import pyarrow as pa

from tasks.evaluation.intervals import LEAST_WINDOWS, Interval
from tasks.evaluation.memory import RECALL, THROUGH, Memory
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.slices import Comparison
from tasks.evaluation.spec import MAJORITY, REFERENCE, TRIVIAL, EvaluationSpec

WHOLE = "all"
"""The slice that holds every example."""

BLOCK, WINDOW = "block_sessions", "label_window_sessions"
"""Stored beside the metrics: sessions of a block of the bootstrap, and that a label covers."""


WITHHELD = (
    "withheld: its skill follows what its base model remembers, so these sessions cannot tell "
    "forecast from recall"
)


class Drawn(Protocol):
    """How sessions were resampled: how many there are, in what blocks, for what label windows."""

    @property
    def sessions(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def block(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Blocks:
    """The same, as stored."""

    sessions: int
    window: int
    block: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What is left of a lead once every predictor judged on its sessions is counted.

    `judged`: how many, this one included. `baseline`: the one it leads by least. `p_alone` and
    `p_corrected`: two-sided p-values of that lead (see `looks.correct`).
    """

    judged: int
    baseline: str
    p_alone: float
    p_corrected: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be claimed for one predictor on the whole split.

    `skill` needs every trivial baseline beaten with an interval that excludes zero, so no
    correction for their number is due (an intersection-union test: Berger 1982). With a
    `correction` it also needs the lead over the hardest of them to stand once corrected for all
    predictors judged on these sessions. With a `memory` that skill follows it is withheld.
    """

    predictor: str
    skill: bool
    claim: str
    sentences: tuple[str, ...]
    alarms: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    better_than: dict[str, bool]
    n_examples: int
    n_sessions: int
    correction: Correction | None = None
    holdout: str = ""
    """Of a final holdout: whether it was the first and only look at its sessions."""
    memory: Memory | None = None

    @property
    def words(self) -> str:
        """The verdict in words, its alarms last."""
        alarms = tuple(f"ALARM: {alarm}" for alarm in self.alarms)
        looks = (self.holdout, self.looks)
        parts = (f"{self.predictor}: {self.claim}.", *looks, *self.sentences, *alarms)
        return " ".join(filter(None, parts))

    @property
    def looks(self) -> str:
        """How many looks there were, and what they leave of the lead; empty if not counted."""
        return "" if self.correction is None else _looks(self.correction)

    def corrected(self, correction: Correction, spec: EvaluationSpec) -> Verdict:
        """The same once looks are counted: a claim stands only if its corrected p-value does."""
        lost = self.skill and correction.judged > 1 and correction.p_corrected > 1 - spec.level
        claim = (
            f"no skill shown (its intervals exclude zero for every baseline, but not once "
            f"corrected for the {correction.judged:,} predictors judged on these sessions)"
            if lost
            else self.claim
        )
        return replace(self, skill=self.skill and not lost, claim=claim, correction=correction)


def _looks(found: Correction) -> str:
    if found.judged == 1:
        return "It is the only predictor judged on these sessions so far."
    return (
        f"Counting all {found.judged:,} predictors judged on these sessions, its lead over "
        f"{found.baseline}, the smallest, has p = {found.p_corrected:.3f} (uncorrected "
        f"{found.p_alone:.3f})."
    )


def conclude(
    predictor: str,
    metrics: Mapping[str, Interval],
    comparisons: Sequence[Comparison],
    spec: EvaluationSpec,
    *,
    rows: int,
    drawn: Drawn,
    daily: bool = False,
    memory: Memory | None = None,
) -> Verdict:
    """The verdict on `predictor` from its metrics and its comparisons with each baseline.

    `drawn`: how the sessions of its `rows` were resampled. `daily`: the bounds of accuracy are a
    confidence sequence. `memory`: of its base model, where that was probed.
    """
    better = {item.baseline: item.better(spec.decided_by) for item in comparisons}
    trivial = [item for item in comparisons if item.baseline in TRIVIAL]
    withheld = memory is not None and memory.followed
    skill = bool(trivial) and all(better[item.baseline] for item in trivial) and not withheld
    sentences = [
        f"Accuracy {share_in_words(metrics['accuracy'])}, cross-entropy "
        f"{interval_in_words(metrics['cross_entropy'])} nats, on {rows:,} examples in "
        f"{drawn.sessions:,} sessions.",
        f"{_DAILY} {_blocks(drawn)}" if daily else _blocks(drawn),
        *(_against(item) for item in comparisons),
        *([memory.words] if memory else []),
    ]
    if not skill:
        sentences += _power(comparisons, spec)
    return Verdict(
        predictor=predictor,
        skill=skill,
        claim=WITHHELD if withheld else _claim(trivial, better, skill=skill),
        sentences=tuple(sentences),
        alarms=_alarms(metrics, better, spec),
        comparisons=tuple(comparisons),
        better_than=better,
        n_examples=rows,
        n_sessions=drawn.sessions,
        memory=memory,
    )


_DAILY = "Bounds of accuracy hold at every look, all together; the others hold for one look."


def _blocks(drawn: Drawn) -> str:
    overlap = f"; a label covers {drawn.window}" if drawn.window > 1 else ""
    if drawn.sessions < LEAST_WINDOWS * drawn.window:
        return (
            f"No intervals: {drawn.sessions:,} sessions hold fewer than {LEAST_WINDOWS} label "
            f"windows of {drawn.window} end to end."
        )
    return f"Intervals resample blocks of {drawn.block:,} sessions{overlap}."


Cell = Mapping[str, Any]
"""One row of `evaluations`."""


def cells_by_predictor(
    evaluations: pa.Table, part: str = WHOLE
) -> dict[str, dict[tuple[str, str | None], Cell]]:
    """Predictor to (metric, baseline or None) to row, on one slice (default: the whole split)."""
    found: dict[str, dict[tuple[str, str | None], Cell]] = {}
    for row in evaluations.to_pylist():
        if row["slice"] == part:
            found.setdefault(row["predictor"], {})[row["metric"], row["baseline"]] = row
    return found


def cells_by_slice(
    evaluations: pa.Table, predictor: str
) -> dict[str, dict[tuple[str, str | None], Cell]]:
    """Slice to (metric, baseline or None) to row, of one predictor."""
    found: dict[str, dict[tuple[str, str | None], Cell]] = {}
    for row in evaluations.to_pylist():
        if row["predictor"] == predictor:
            found.setdefault(row["slice"], {})[row["metric"], row["baseline"]] = row
    return found


def interval_of(row: Cell | None) -> Interval:
    """The estimate a stored row holds; NaN for null."""
    keys = ("value", "ci_low", "ci_high")
    return Interval(*(nan if row is None or row[key] is None else row[key] for key in keys))


def read_verdicts(evaluations: pa.Table, spec: EvaluationSpec) -> tuple[Verdict, ...]:
    """The verdict on every model among stored `evaluations` of one split, by name.

    Predictors without a model are concluded on only when no model was evaluated.
    """
    found = cells_by_predictor(evaluations)
    known = {name: cells for name, cells in found.items() if name not in TRIVIAL}
    models = {
        name: cells
        for name, cells in known.items()
        if any(cell["model_id"] is not None for cell in cells.values())
    }
    return tuple(
        _stored_verdict(name, cells, spec) for name, cells in sorted((models or known).items())
    )


def _stored_verdict(
    name: str, cells: Mapping[tuple[str, str | None], Cell], spec: EvaluationSpec
) -> Verdict:
    def comparison(baseline: str) -> Comparison:
        accuracy, entropy, p, rows, edge = (
            interval_of(cells.get((metric, baseline)))
            for metric in (
                "accuracy",
                "cross_entropy",
                "mcnemar_p",
                "rows_needed",
                "detectable_edge",
            )
        )
        return Comparison(baseline, accuracy, entropy, p.value, rows.value, edge.value)

    size = next(iter(cells.values()))
    block, window = (
        int(cells[metric, None]["value"]) if (metric, None) in cells else 1
        for metric in (BLOCK, WINDOW)
    )
    return conclude(
        name,
        {metric: interval_of(cells.get((metric, None))) for metric in METRICS},
        [comparison(one) for one in (*TRIVIAL, *REFERENCE) if ("accuracy", one) in cells],
        spec,
        rows=size["n_examples"],
        drawn=Blocks(size["n_sessions"], window, block),
        memory=_stored_memory(cells),
    )


def _stored_memory(cells: Mapping[tuple[str, str | None], Cell]) -> Memory | None:
    recall, through = (cells.get((metric, None)) for metric in (RECALL, THROUGH))
    if recall is None or through is None:
        return None
    return Memory(interval_of(recall), interval_of(through), through["n_examples"])


def _claim(trivial: Sequence[Comparison], better: Mapping[str, bool], *, skill: bool) -> str:
    if not trivial:
        return "no skill shown (there was no baseline to compare with)"
    if skill:
        return "better than every baseline (" + ", ".join(item.baseline for item in trivial) + ")"
    beaten = [item.baseline for item in trivial if better[item.baseline]]
    unbeaten = ", ".join(item.baseline for item in trivial if not better[item.baseline])
    aside = f"; better than {', '.join(beaten)} alone is not skill" if beaten else ""
    return f"no skill shown (not better than {unbeaten}{aside})"


def _against(item: Comparison) -> str:
    role = "" if item.baseline in TRIVIAL else "reference model "
    accuracy = _outcome(item.better("accuracy"), item.worse("accuracy"))
    entropy = _outcome(item.better("cross_entropy"), item.worse("cross_entropy"))
    return (
        f"Against {role}{item.baseline}: {_points(item.accuracy)} points of accuracy ({accuracy}), "
        f"{_signed(item.cross_entropy)} nats ({entropy})."
    )


def _outcome(better: bool, worse: bool) -> str:
    return "better" if better else "worse" if worse else "not distinguishable"


def _power(comparisons: Sequence[Comparison], spec: EvaluationSpec) -> list[str]:
    for item in comparisons:
        if item.baseline == MAJORITY and not isnan(item.rows_needed):
            return [
                f"An edge of {100 * spec.claimed_edge:.1f} points over {MAJORITY} would need about "
                f"{item.rows_needed:,.0f} rows; these rows could show "
                f"{100 * item.detectable_edge:.1f} points."
            ]
    return []


def _alarms(
    metrics: Mapping[str, Interval], better: Mapping[str, bool], spec: EvaluationSpec
) -> tuple[str, ...]:
    alarms = []
    share = metrics["predicted_up_share"].value
    if share <= spec.collapse_share or share >= 1.0 - spec.collapse_share:
        alarms.append(
            f"collapse: {100 * share:.1f}% of the predictions say up, so the predictor "
            "hardly tells examples apart."
        )
    accuracy, mcc = metrics["accuracy"], metrics["mcc"]
    # In a year that mostly rises, accuracy alone exceeds the bound without a leak.
    suspicious = (accuracy.value > spec.literature_accuracy and better.get(MAJORITY, False)) or (
        mcc.value > spec.literature_mcc and mcc.above_zero
    )
    if suspicious and not spec.synthetic:
        alarms.append(
            f"leak suspected: accuracy {100 * accuracy.value:.1f}%, MCC {mcc.value:.2f} exceed "
            "what is believed at once on one split of real data "
            f"({100 * spec.literature_accuracy:.0f}%, {spec.literature_mcc:.2f}). "
            "Look for the future in the inputs first."
        )
    return tuple(alarms)


def share_in_words(item: Interval) -> str:
    """`61.2% [55.0, 67.1]`."""
    return f"{100 * item.value:.1f}% [{100 * item.low:.1f}, {100 * item.high:.1f}]"


def interval_in_words(item: Interval) -> str:
    """`0.1034 [-0.0211, 0.2203]`."""
    return f"{item.value:.4f} [{item.low:.4f}, {item.high:.4f}]"


def _points(item: Interval) -> str:
    return f"{100 * item.value:+.1f} [{100 * item.low:+.1f}, {100 * item.high:+.1f}]"


def _signed(item: Interval) -> str:
    return f"{item.value:+.4f} [{item.low:+.4f}, {item.high:+.4f}]"
