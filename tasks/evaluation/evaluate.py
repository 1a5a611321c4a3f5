"""Judge predictions against outcomes: every metric with an interval, beside its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import Interval
from tasks.evaluation.metrics import Bools, Floats, bin_of
from tasks.evaluation.multiplicity import benjamini_hochberg, holm
from tasks.evaluation.paired import Comparison
from tasks.evaluation.slices import Slice, comparisons, measured, row_sets
from tasks.evaluation.spec import REFERENCE, TRIVIAL, ZERO_SHOT, EvaluationError, EvaluationSpec
from tasks.evaluation.verdict import Verdict, judge

ROWS = pa.schema(
    [
        pa.field("slice", pa.string(), nullable=False),
        pa.field("predictor", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        pa.field("n_examples", pa.int64(), nullable=False),
        pa.field("n_sessions", pa.int64(), nullable=False),
    ]
)
_REQUIRED = ("ticker", "session", "label_up", "availability")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything one evaluation found.

    `rows`: one row per slice, predictor and metric (schema `ROWS`); a comparison with baseline b
    is the metric `accuracy_vs_b`, `cross_entropy_vs_b`, `mcnemar_p_vs_b`, `rows_needed_vs_b` or
    `detectable_edge_vs_b`; in ticker slices also `mcnemar_p_holm_vs_b` and `mcnemar_p_bh_vs_b`,
    adjusted over all tickers. `reliability`: one row per predictor and non-empty probability bin.
    `verdicts`: the candidate's first, then the other predictors that were fitted. `notes`: what
    second looks showed, in sentences.
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
            raise EvaluationError("Only trivial baselines were evaluated: nobody to judge.")
        return self.verdicts[0]


def evaluate(
    frame: pa.Table, predictions: Mapping[str, Any], spec: EvaluationSpec | None = None
) -> Evaluation:
    """Judge each predictor's P(up) on the examples of `frame`.

    `frame`: one row per example with ticker, session (date), label_up (bool) and availability.
    `predictions`: predictor name to an array of P(up), aligned to `frame`'s rows.
    Raises EvaluationError when a column is missing, a label is null, or a prediction is absent,
    of the wrong length, not finite or outside [0, 1].
    """
    spec = spec or EvaluationSpec()
    p_up = _checked(frame, predictions, spec)
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    session = frame["session"].to_numpy()
    slices = [
        measured(name, label[rows], {k: v[rows] for k, v in p_up.items()}, session[rows], spec)
        for name, rows in row_sets(frame, spec).items()
    ]
    records: list[dict[str, Any]] = []
    for part in slices:
        records += _records(part, spec)
    records += _adjusted(records)
    return Evaluation(
        rows=pa.Table.from_pylist(records, schema=ROWS),
        reliability=reliability(label, p_up, spec.bins),
        verdicts=_verdicts(slices[0], spec),
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
            f"Null values in {', '.join(nulls)}: an example without an outcome cannot be judged. "
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


def _judged(predictors: Mapping[str, Any], spec: EvaluationSpec) -> list[str]:
    """Whom to judge: the named candidate, other fitted models, the reference, the base model."""
    fitted = [name for name in predictors if name not in (*TRIVIAL, *REFERENCE)]
    named = [] if spec.candidate is None else [spec.candidate]
    others = [name for name in (*REFERENCE, ZERO_SHOT) if name in predictors]
    return list(dict.fromkeys([*named, *fitted, *others]))


def _verdicts(whole: Slice, spec: EvaluationSpec) -> tuple[Verdict, ...]:
    return tuple(
        judge(
            predictor,
            whole.estimates[predictor],
            comparisons(whole, predictor, spec),
            spec,
            rows=len(whole.label),
            sessions=whole.sessions,
        )
        for predictor in _judged(whole.p_up, spec)
    )


def _records(part: Slice, spec: EvaluationSpec) -> list[dict[str, Any]]:
    """The slice's rows of the evaluation table."""
    records = []
    for predictor, estimates in part.estimates.items():
        found = dict(estimates)
        if predictor in _judged(part.p_up, spec):
            for item in comparisons(part, predictor, spec):
                found |= _as_metrics(item)
        records += [
            {
                "slice": part.name,
                "predictor": predictor,
                "metric": metric,
                "value": _finite(interval.value),
                "ci_low": _finite(interval.low),
                "ci_high": _finite(interval.high),
                "n_examples": len(part.label),
                "n_sessions": part.sessions,
            }
            for metric, interval in found.items()
        ]
    return records


def _adjusted(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each predictor's McNemar p-values over all tickers, corrected for their number.

    Within one ticker a session is one row, so rows are as independent as McNemar's test wants.
    """
    tests = [
        record
        for record in records
        if record["slice"].startswith("ticker=") and record["metric"].startswith("mcnemar_p_vs_")
    ]
    found = []
    for key in dict.fromkeys((test["predictor"], test["metric"]) for test in tests):
        family = [test for test in tests if (test["predictor"], test["metric"]) == key]
        p_values = [test["value"] for test in family]
        for name, adjust in (("holm", holm), ("bh", benjamini_hochberg)):
            metric = key[1].replace("mcnemar_p", f"mcnemar_p_{name}")
            found += [
                {**test, "metric": metric, "value": float(value)}
                for test, value in zip(family, adjust(p_values), strict=True)
            ]
    return found


def _as_metrics(item: Comparison) -> dict[str, Interval]:
    plain = {
        "mcnemar_p": item.mcnemar_p,
        "rows_needed": item.rows_needed,
        "detectable_edge": item.detectable_edge,
    }
    return {
        f"accuracy_vs_{item.baseline}": item.accuracy,
        f"cross_entropy_vs_{item.baseline}": item.cross_entropy,
        **{f"{k}_vs_{item.baseline}": Interval(v, nan, nan) for k, v in plain.items()},
    }


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
