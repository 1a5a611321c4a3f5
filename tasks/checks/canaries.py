"""Canaries: does the pipeline claim skill where there is none, find it where there is some?

Each canary takes the real thing as a callable and answers with a `Canary`. Four of them go
through the same `evaluate` as any model, so they also guard the evaluation itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tasks.checks.lookahead import ExampleAudit
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.features import FeatureSpec
from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.spec import EvaluationError, EvaluationSpec
from tasks.evaluation.verdict import Verdict
from warehouse.lake import Lake
from warehouse.tables.batches import (
    FEATURES,
    HEADLINE_TICKERS,
    HEADLINES,
    FeatureBatch,
    HeadlineBatch,
)
from warehouse.tables.features import publish_features
from warehouse.tables.headlines import publish_headlines

Market = Literal["null", "planted"]
Examples = Callable[[Market], tuple[pa.Table, pa.Table]]
Learn = Callable[[pa.Table, Sequence[pa.Table]], Sequence[Any]]
BaseScores = Callable[[], tuple[Any, Any]]
PlantFuture = Callable[[str], tuple[Sequence[str], Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Survivorship:
    """What the audit says of a dated universe, and of the same filtered to today's survivors.

    `honest` and `filtered` are its findings, each whether it passed; `up` and `survivors_up` the
    shares of up among the labels of all members and of the survivors.
    """

    honest: bool
    filtered: bool
    up: float
    survivors_up: float


Survivors = Callable[[], Survivorship]

CANDIDATE = "text_model"
MARKER = "Quokkaberry"  # a word no headline has


@dataclass(frozen=True, slots=True)
class Bench:
    """What the canaries are tried on; every callable must do the real thing.

    `examples(market)`: training and test examples (columns as for `evaluate`, and `input`) of a
    market whose news knows nothing (null) or foretells the outcome (planted).
    `learn(train, tests)`: fit on the first, P(up) for each of the others, aligned to its rows.
    `base_scores()`: the base model's scores before an adapter is attached and after it is put
    aside again. `plant_future(marker)`: publish a headline with that word just after a decision;
    the inputs decided before it was published, and those decided after. `plant_column(marker)`: the
    same with a value of an own column. `survivors()`: build a universe in which names die, and
    audit it as it is and filtered to who is left.
    """

    examples: Examples
    learn: Learn
    base_scores: BaseScores
    plant_future: PlantFuture
    plant_column: PlantFuture
    survivors: Survivors


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary's outcome, in words a reader can act on."""

    name: str
    passed: bool
    words: str


@dataclass(frozen=True, slots=True)
class SelftestReport:
    """All canaries."""

    canaries: tuple[Canary, ...]

    @property
    def passed(self) -> bool:
        """Whether every canary is alive."""
        return all(canary.passed for canary in self.canaries)

    def markdown(self) -> str:
        """The report as a Markdown table."""
        marks = {True: "passed", False: "**FAILED**"}
        rows = [f"| {c.name} | {marks[c.passed]} | {c.words} |" for c in self.canaries]
        head = f"# Self-test: {'passed' if self.passed else 'FAILED'}"
        columns = ["| canary | outcome | what was seen |", "|---|---|---|"]
        return "\n".join([head, "", *columns, *rows, ""])


def selftest(
    bench: Bench,
    spec: EvaluationSpec | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> SelftestReport:
    """Try every canary on `bench`; `progress` is called with each one's name before it starts."""
    spec = (spec or EvaluationSpec()).model_copy(update={"synthetic": True, "by_ticker": False})
    progress("null market")
    found = [null_market(*bench.examples("null"), bench.learn, spec)]
    train, test = bench.examples("planted")
    progress("planted market, time shift")
    found += planted_and_shifted(train, test, bench.learn, spec)
    progress("shuffled labels")
    found.append(shuffled_labels(train, test, bench.learn, spec))
    progress("future headline")
    found.append(future_headline(bench.plant_future))
    progress("future column")
    found.append(future_column(bench.plant_column))
    progress("survivors")
    found.append(survivors_only(bench.survivors))
    progress("base scores")
    found.append(base_unchanged(bench.base_scores))
    return SelftestReport(tuple(found))


def null_market(train: pa.Table, test: pa.Table, learn: Learn, spec: EvaluationSpec) -> Canary:
    """News that knows nothing must yield no claim; a claim means the outcome leaked in."""
    (p_up,) = learn(train, [test])
    return _no_skill("null market", _verdict(train, test, p_up, spec))


def planted_and_shifted(
    train: pa.Table, test: pa.Table, learn: Learn, spec: EvaluationSpec, *, sessions: int = 5
) -> list[Canary]:
    """News that foretells the outcome must be found; the same news at the wrong date must not.

    In the placebo every test example reads what its ticker's example `sessions` places earlier
    read. Were skill still claimed, it would come from somewhere else than the news.
    """
    shifted = with_shifted_inputs(test, sessions)
    p_up, p_shifted = learn(train, [test, shifted])
    verdict = _verdict(train, test, p_up, spec)
    planted = Canary("planted market", verdict.skill, verdict.words)
    return [planted, _no_skill("time shift", _verdict(train, shifted, p_shifted, spec))]


def shuffled_labels(train: pa.Table, test: pa.Table, learn: Learn, spec: EvaluationSpec) -> Canary:
    """Trained on labels dealt out at random, nothing can be known about the true ones."""
    dealt = with_shuffled_labels(train, spec.seed)
    (p_up,) = learn(dealt, [test])
    return _no_skill("shuffled labels", _verdict(train, test, p_up, spec))


def future_headline(plant: PlantFuture) -> Canary:
    """A headline published after the decision must be in no earlier input, and in a later one."""
    return _in_later_inputs_alone("future headline", "headline", plant)


def future_column(plant: PlantFuture) -> Canary:
    """A value known after the decision must be in no earlier input, and in a later one."""
    return _in_later_inputs_alone("future column", "value", plant)


def _in_later_inputs_alone(name: str, what: str, plant: PlantFuture) -> Canary:
    before, after = plant(MARKER)
    early = sum(MARKER in text for text in before)
    late = sum(MARKER in text for text in after)
    words = f"{early} of {len(before)} inputs decided before its publication hold the {what}, "
    words += f"{late} of {len(after)} decided after it do; expected none and at least one."
    return Canary(name, early == 0 and late > 0, words)


def survivors_only(survivors: Survivors) -> Canary:
    """A universe filtered to who is left must be noticed, and the honest one must not be blamed."""
    seen = survivors()
    words = (
        f"{seen.up:.1%} of the labels are up among all members of the day, {seen.survivors_up:.1%} "
        "among those still there at the end. The audit "
        f"{'passes' if seen.honest else 'blames'} the former, expected to pass, and "
        f"{'passes' if seen.filtered else 'blames'} the latter, expected to be blamed."
    )
    return Canary("survivors", seen.honest and not seen.filtered, words)


def audit_survivors(lake: Lake, spec: DatasetSpec) -> Survivorship:
    """The survivorship check on the examples of a dated `spec`, and on a copy that leaks.

    The copy takes only tickers that are members today, as a list made today would. Nothing is
    stored.
    """
    audit = ExampleAudit(lake, spec, seed=0)
    honest, shares = not audit.survivorship(), audit.up_shares()
    leaky = spec.model_copy(update={"tickers": audit.survivors()})
    filtered = not ExampleAudit(lake, leaky, seed=0).survivorship()
    return Survivorship(honest, filtered, *shares)


def plant_future(
    lake: Lake, spec: DatasetSpec, marker: str, *, now: datetime
) -> tuple[list[str], list[str]]:
    """Publish a headline with `marker` one second after a decision and build the examples again.

    Returns its ticker's inputs decided before it was published, and those decided after.
    """
    middle, moment = _just_after_a_decision(lake, spec)
    headline = dict.fromkeys(HEADLINES.names) | {
        "headline_id": f"canary-{marker}",
        "source": "canary",
        "title": f"{middle['ticker']} {marker}",
        "published_at": moment,
        "first_seen_at": moment,
        "available_at": moment,
        "granularity": "second",
        "availability": "observed",
        "synthetic": True,
        "payload_id": "canary",
    }
    about = {"headline_id": f"canary-{marker}", "ticker": middle["ticker"], "method": "declared"}
    batch = HeadlineBatch(
        headlines=pa.Table.from_pylist([headline], schema=HEADLINES),
        headline_tickers=pa.Table.from_pylist([about], schema=HEADLINE_TICKERS),
    )
    publish_headlines(lake, batch, now=now)
    refresh_examples(lake, spec, now=now)
    return _inputs_around(lake, spec, middle["ticker"], moment)


def plant_column(
    lake: Lake, spec: DatasetSpec, marker: str, *, now: datetime
) -> tuple[list[str], list[str]]:
    """Publish `marker` as an own column, known one second after a decision, and build with it.

    The examples are those of `spec` with the column in their inputs. Returns its ticker's inputs
    decided before it was known, and those decided after.
    """
    middle, moment = _just_after_a_decision(lake, spec)
    value = dict.fromkeys(FEATURES.names) | {
        "feature_set": "canary",
        "ticker": middle["ticker"],
        "known_at": moment,
        "granularity": "second",
        "name": "canary",
        "text": marker,
        "available_at": moment,
        "first_seen_at": now,
        "payload_id": "canary",
    }
    rows = pa.Table.from_pylist([value], schema=FEATURES)
    publish_features(lake, FeatureBatch(features=rows), now=now)
    template = f"{spec.render.template} {{feature.canary}}"
    column = FeatureSpec(name="canary", columns=("canary",))
    with_column = spec.model_copy(
        update={
            "render": spec.render.model_copy(update={"template": template}),
            "features": (*spec.features, column),
        }
    )
    refresh_examples(lake, with_column, now=now)
    return _inputs_around(lake, with_column, middle["ticker"], moment)


def _just_after_a_decision(lake: Lake, spec: DatasetSpec) -> tuple[dict[str, Any], datetime]:
    decided = lake.read("examples_decided", {"spec_id": spec.spec_id}).to_pylist()
    middle = decided[len(decided) // 2]
    return middle, middle["decision_ts"] + timedelta(seconds=1)


def _inputs_around(
    lake: Lake, spec: DatasetSpec, ticker: str, moment: datetime
) -> tuple[list[str], list[str]]:
    """The ticker's inputs decided before a moment, and those decided at it or after."""
    decided = lake.read("examples_decided", {"spec_id": spec.spec_id}).to_pylist()
    own = [row for row in decided if row["ticker"] == ticker]
    return (
        [row["input"] for row in own if row["decision_ts"] < moment],
        [row["input"] for row in own if row["decision_ts"] >= moment],
    )


def base_unchanged(scores: BaseScores, tolerance: float = 1e-6) -> Canary:
    """Attaching an adapter and putting it aside must leave the base model as it was."""
    before, after = (np.asarray(side, dtype=np.float64) for side in scores())
    if before.shape != after.shape or not before.size:
        words = f"{before.size} scores before and {after.size} after: not comparable."
        return Canary("base scores", False, words)
    largest = float(np.max(np.abs(before - after)))
    words = f"largest difference {largest:.2e} over {before.size} scores, allowed {tolerance:.0e}."
    return Canary("base scores", bool(largest <= tolerance), words)


def with_shuffled_labels(train: pa.Table, seed: int) -> pa.Table:
    """The same examples with label_up dealt out anew; the share of ups stays."""
    label = train["label_up"].to_numpy()
    dealt = np.random.default_rng(seed).permutation(label)
    return train.set_column(train.column_names.index("label_up"), "label_up", pa.array(dealt))


def with_shifted_inputs(test: pa.Table, sessions: int) -> pa.Table:
    """Each ticker's inputs moved `sessions` examples later, the last ones round to the front.

    Raises EvaluationError when a ticker has too few examples to move anything.
    """
    _, ticker = np.unique(test["ticker"].to_numpy(), return_inverse=True)
    order = np.lexsort((test["session"].to_numpy(), ticker))
    counts = np.bincount(ticker)
    if counts.min() <= sessions:
        raise EvaluationError(
            f"A time shift of {sessions} needs more examples of every ticker; the fewest are "
            f"{counts.min()}. Use a longer test split or fewer tickers."
        )
    first = np.cumsum(counts) - counts
    place = np.arange(len(order)) - np.repeat(first, counts)
    source = np.repeat(first, counts) + (place - sessions) % np.repeat(counts, counts)
    moved = np.empty(len(order), dtype=np.int64)
    moved[order] = order[source]
    inputs = test["input"].take(pa.array(moved))
    return test.set_column(test.column_names.index("input"), "input", inputs)


def _verdict(train: pa.Table, test: pa.Table, p_up: Any, spec: EvaluationSpec) -> Verdict:
    baselines = fit_baselines(train.drop_columns(["input"])).predict(test)
    named = spec.model_copy(update={"candidate": CANDIDATE})
    return evaluate(test, {**baselines, CANDIDATE: p_up}, named).verdict


def _no_skill(name: str, verdict: Verdict) -> Canary:
    return Canary(name, not verdict.skill, verdict.words)
