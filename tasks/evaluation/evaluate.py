"""Evaluation of predictions: every metric with an interval, beside its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import Interval
from tasks.evaluation.memory import Memory
from tasks.evaluation.metrics import Bools, Floats, bin_of
from tasks.evaluation.slices import Slice, benjamini_hochberg, comparisons, holm, measured, row_sets
from tasks.evaluation.spec import REFERENCE, TRIVIAL, ZERO_SHOT, EvaluationError, EvaluationSpec
from tasks.evaluation.verdict import BLOCK, WHOLE, WINDOW, Verdict, conclude

ROWS = pa.schema(
    [
        pa.field("slice", pa.string(), nullable=False),
        pa.field("predictor", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        ("baseline", pa.string()),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        pa.field("n_examples", pa.int64(), nullable=False),
        pa.field("n_sessions", pa.int64(), nullable=False),
    ]
)
Key = tuple[str, str | None]
"""A metric, and the baseline it is a difference to or a test against, if any."""

_REQUIRED = ("ticker", "session", "label_start_ts", "label_end_ts", "label_up", "availability")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything one evaluation found.

    `rows`: one row per slice, predictor, metric and baseline (schema `ROWS`). Without a baseline
    it is the predictor's own metric; with one, accuracy and cross_entropy are differences to it,
    beside mcnemar_p, rows_needed and detectable_edge, and in ticker slices mcnemar_p_holm and
    mcnemar_p_bh, adjusted over all tickers. `reliability`: one row per predictor and non-empty
    probability bin. `verdicts`: the candidate's first, then the other predictors that were fitted.
    `notes`: what the robustness checks showed, in sentences.
    """

    rows: pa.Table
    reliability: pa.Table
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on the candidate; without one, on the first predictor that could claim skill.

        Raises EvaluationError when only trivial baselines were evaluated.
        """
        if not self.verdicts:
            raise EvaluationError(
                "Only trivial baselines were evaluated; a verdict needs another predictor."
            )
        return self.verdicts[0]


def evaluate(
    frame: pa.Table,
    predictions: Mapping[str, Any],
    spec: EvaluationSpec | None = None,
    *,
    memories: Mapping[str, Memory] | None = None,
) -> Evaluation:
    """Evaluate each predictor's P(up) on the examples of `frame`.

    `frame`: one row per example with ticker, session (date), label_start_ts and label_end_ts (UTC),
    label_up (bool) and availability.
    `predictions`: predictor name to an array of P(up), aligned to `frame`'s rows.
    `memories`: of the language models among them, what their base recalls; see `Memory`.
    Raises EvaluationError when a column is missing, a label is null, or a prediction is absent,
    of the wrong length, not finite or outside [0, 1].
    """
    spec = spec or EvaluationSpec()
    p_up = _checked(frame, predictions, spec)
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    needed = frame.select(["label_up", "session", "label_start_ts", "label_end_ts"])
    slices = [
        measured(name, needed.take(rows), {k: v[rows] for k, v in p_up.items()}, spec)
        for name, rows in row_sets(frame, spec).items()
    ]
    records: list[dict[str, Any]] = []
    for part in slices:
        records += _records(part, spec)
    records += _adjusted(records)
    return Evaluation(
        rows=pa.Table.from_pylist(records, schema=ROWS),
        reliability=reliability(label, p_up, spec.bins),
        verdicts=_verdicts(slices[0], spec, memories or {}),
    )


def reliability(label: Bools, p_up: Mapping[str, Floats], bins: int) -> pa.Table:
    """One row per predictor and non-empty bin of P(up): its bounds, rows, mean P(up), up share."""
    parts = []
    for name, probabilities in p_up.items():
        cell = bin_of(probabilities, bins)
        n = np.bincount(cell, minlength=bins)
        held = np.flatnonzero(n)
        part = {
            "predictor": [name] * len(held),
            "bin_low": held / bins,
            "bin_high": (held + 1) / bins,
            "n": n[held],
            "mean_p_up": np.bincount(cell, probabilities, bins)[held] / n[held],
            "up_share": np.bincount(cell, label, bins)[held] / n[held],
        }
        parts.append(pa.table(part))
    return pa.concat_tables(parts)


def _checked(
    frame: pa.Table, predictions: Mapping[str, Any], spec: EvaluationSpec
) -> dict[str, Floats]:
    missing = [name for name in _REQUIRED if name not in frame.column_names]
    if missing:
        raise EvaluationError(
            f"The examples to evaluate lack {', '.join(missing)}; got {frame.column_names}."
        )
    if not frame.num_rows or not predictions:
        raise EvaluationError(
            f"Nothing to evaluate: {frame.num_rows} examples, {len(predictions)} predictors; "
            "expected at least one of each. Check the split's name and dates."
        )
    nulls = [name for name in _REQUIRED if frame[name].null_count]
    if nulls:
        raise EvaluationError(
            f"Null values in {', '.join(nulls)}: an example without an outcome says nothing. "
            "Leave unlabelled examples out."
        )
    if spec.candidate is not None and spec.candidate not in predictions:
        raise EvaluationError(
            f"The candidate {spec.candidate!r} made no predictions; got {sorted(predictions)}."
        )
    return {name: _probabilities(name, p, frame.num_rows) for name, p in predictions.items()}


def _probabilities(name: str, values: Any, rows: int) -> Floats:
    p_up = np.asarray(values, dtype=np.float64)
    if p_up.shape != (rows,):
        raise EvaluationError(
            f"Predictor {name!r} gave an array of shape {p_up.shape}; expected one P(up) for each "
            f"of {rows} examples, in the same order."
        )
    bad = np.flatnonzero(~((p_up >= 0.0) & (p_up <= 1.0)))
    if len(bad):
        raise EvaluationError(
            f"Predictor {name!r} gave {p_up[bad[0]]} at row {bad[0]} ({len(bad)} such rows); "
            "expected a probability between 0 and 1."
        )
    return p_up


def _candidates(predictors: Mapping[str, Any], spec: EvaluationSpec) -> list[str]:
    """Those a verdict is about: the named candidate, other fitted models, reference, base model."""
    fitted = [name for name in predictors if name not in (*TRIVIAL, *REFERENCE)]
    named = [] if spec.candidate is None else [spec.candidate]
    others = [name for name in (*REFERENCE, ZERO_SHOT) if name in predictors]
    return list(dict.fromkeys([*named, *fitted, *others]))


def _verdicts(
    whole: Slice, spec: EvaluationSpec, memories: Mapping[str, Memory]
) -> tuple[Verdict, ...]:
    return tuple(
        conclude(
            predictor,
            whole.estimates[predictor],
            comparisons(whole, predictor, spec),
            spec,
            rows=len(whole.label),
            drawn=whole.resampling,
            memory=memories.get(predictor),
        )
        for predictor in _candidates(whole.p_up, spec)
    )


def metric_rows(
    part: str, predictor: str, found: Mapping[Key, Interval], *, examples: int, sessions: int
) -> list[dict[str, Any]]:
    """Rows of the evaluation table (schema `ROWS`) for one slice `part` and predictor."""
    return [
        {
            "slice": part,
            "predictor": predictor,
            "metric": metric,
            "baseline": baseline,
            "value": _finite(interval.value),
            "ci_low": _finite(interval.low),
            "ci_high": _finite(interval.high),
            "n_examples": examples,
            "n_sessions": sessions,
        }
        for (metric, baseline), interval in found.items()
    ]


def whole_rows(frame: pa.Table, predictor: str, found: Mapping[Key, Interval]) -> pa.Table:
    """A predictor's rows of the evaluation table on all of `frame`, as one slice."""
    sessions = len(frame["session"].unique())
    records = metric_rows(WHOLE, predictor, found, examples=frame.num_rows, sessions=sessions)
    return pa.Table.from_pylist(records, schema=ROWS)


def exact(value: float) -> Interval:
    """A number that has no interval."""
    return Interval(value, nan, nan)


def _records(part: Slice, spec: EvaluationSpec) -> list[dict[str, Any]]:
    """The slice's rows of the evaluation table."""
    records = []
    for predictor, estimates in part.estimates.items():
        found: dict[Key, Interval] = {(metric, None): item for metric, item in estimates.items()}
        found[BLOCK, None] = exact(part.resampling.block)
        found[WINDOW, None] = exact(part.resampling.window)
        if predictor in _candidates(part.p_up, spec):
            for item in comparisons(part, predictor, spec):
                found |= {
                    ("accuracy", item.baseline): item.accuracy,
                    ("cross_entropy", item.baseline): item.cross_entropy,
                    ("mcnemar_p", item.baseline): exact(item.mcnemar_p),
                    ("rows_needed", item.baseline): exact(item.rows_needed),
                    ("detectable_edge", item.baseline): exact(item.detectable_edge),
                }
        records += metric_rows(
            part.name, predictor, found, examples=len(part.label), sessions=part.sessions
        )
    return records


def _adjusted(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each predictor's McNemar p-values over all tickers, corrected for their number.

    Within one ticker a session is one row, so rows are as independent as McNemar's test wants.
    """
    tests = [
        record
        for record in records
        if record["slice"].startswith("ticker=") and record["metric"] == "mcnemar_p"
    ]
    found = []
    for key in dict.fromkeys((test["predictor"], test["baseline"]) for test in tests):
        family = [test for test in tests if (test["predictor"], test["baseline"]) == key]
        p_values = [test["value"] for test in family]
        for name, adjust in (("holm", holm), ("bh", benjamini_hochberg)):
            found += [
                {**test, "metric": f"mcnemar_p_{name}", "value": float(value)}
                for test, value in zip(family, adjust(p_values), strict=True)
            ]
    return found


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
