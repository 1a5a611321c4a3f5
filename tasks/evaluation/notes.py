"""What the second looks at a predictor showed, in sentences made from the stored rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from typing import Any

import pyarrow as pa

from tasks.evaluation.intervals import Interval
from tasks.evaluation.masking import masking_words
from tasks.evaluation.spec import MAJORITY, TRIVIAL, EvaluationSpec

Found = dict[str, dict[str, Mapping[str, Any]]]
"""Slice to metric to row, of one predictor."""


def notes(rows: pa.Table, predictor: str, spec: EvaluationSpec) -> tuple[str, ...]:
    """Sentences on power, tickers, memory, availability, calibration, masking and money.

    `rows`: evaluation rows (slice, predictor, metric, value, ci_low, ci_high, n_examples). What
    was not looked at is not mentioned.
    """
    found: Found = {}
    for row in rows.to_pylist():
        if row["predictor"] == predictor:
            found.setdefault(row["slice"], {})[row["metric"]] = row
    looks = (_power, _tickers, _memory, _availability, _calibration, _masking, _illustration)
    return tuple(note for look in looks for note in look(found, spec))


def _power(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    whole = found.get("all", {})
    edges = {
        baseline: whole[f"detectable_edge_vs_{baseline}"]["value"]
        for baseline in TRIVIAL
        if (whole.get(f"detectable_edge_vs_{baseline}") or {}).get("value")
    }
    if edges:
        told = ", ".join(f"{100 * edge:.1f} points to {name}" for name, edge in edges.items())
        yield (
            f"With {spec.power:.0%} power this test could have shown a difference in accuracy of "
            f"{told}; smaller ones it would mostly miss."
        )


def _tickers(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    tests = {
        name.partition("=")[2]: metrics
        for name, metrics in found.items()
        if name.startswith("ticker=") and f"mcnemar_p_holm_vs_{MAJORITY}" in metrics
    }
    if not tests:
        return
    adjusted = {t: m[f"mcnemar_p_holm_vs_{MAJORITY}"]["value"] for t, m in tests.items()}
    raw = min(m[f"mcnemar_p_vs_{MAJORITY}"]["value"] for m in tests.values())
    kept = sorted(ticker for ticker, p in adjusted.items() if p < 1 - spec.level)
    yield (
        f"Of {len(tests)} tickers, {', '.join(kept) or 'none'} "
        f"{'differ' if len(kept) > 1 else 'differs'} from the majority class once corrected for "
        f"their number (Holm; smallest p {min(adjusted.values()):.2g}, uncorrected {raw:.2g})."
    )


def _memory(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    before, after = (_accuracy(found, f"base_cutoff={side}") for side in ("before", "after"))
    if before and after:
        yield (
            f"{after['n_examples']:,} examples come after the end of the base model's training "
            f"data: accuracy {_share(after)} there, {_share(before)} on the "
            f"{before['n_examples']:,} before it, which it may remember."
        )
    elif before:
        yield (
            f"All {before['n_examples']:,} examples lie before the end of the base model's "
            "training data: it may have read how they ended."
        )
    elif after:
        yield (
            f"All {after['n_examples']:,} examples come after the end of the base model's training "
            "data: it cannot have read how they ended."
        )


def _availability(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    observed, asserted = (_accuracy(found, name) for name in ("observed", "asserted"))
    if asserted and observed:
        yield (
            f"Accuracy {_share(observed)} on {observed['n_examples']:,} examples whose news was "
            f"seen to arrive, {_share(asserted)} on {asserted['n_examples']:,} whose times are "
            "taken on trust."
        )
    elif asserted:
        yield (
            f"None of the {asserted['n_examples']:,} examples rests on news that was seen to "
            "arrive: all times are taken on trust, from archives or searches."
        )


def _calibration(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    whole = found.get("all", {})
    if "cross_entropy_calibrated" not in whole or "cross_entropy" not in whole:
        return
    slope = (whole.get("calibration_slope") or {"value": 1.0})["value"]
    aside = "" if slope > 0 else "; its slope is not positive: no ranking worth keeping was found"
    change = _interval(whole["cross_entropy_calibrated_vs_plain"])
    yield (
        f"Calibrated on {whole['calibration_rows']['value']:,.0f} validation examples: "
        f"cross-entropy {whole['cross_entropy']['value']:.4f} → "
        f"{whole['cross_entropy_calibrated']['value']:.4f} nats ({change.value:+.4f} "
        f"[{change.low:+.4f}, {change.high:+.4f}]), calibration error "
        f"{whole['ece']['value']:.3f} → {whole['ece_calibrated']['value']:.3f}{aside}."
    )


def _masking(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    whole = found.get("all", {})
    names = ("accuracy_masked_vs_plain", "cross_entropy_masked_vs_plain")
    if all(name in whole for name in names):
        yield masking_words(*(_interval(whole[name]) for name in names))


def _illustration(found: Found, spec: EvaluationSpec) -> Iterable[str]:
    whole = found.get("all", {})
    if "illustration_net" in whole:
        net, gross, holding = (
            whole[f"illustration_{name}"]["value"] for name in ("net", "gross", "holding")
        )
        cost = 1e4 * whole["illustration_cost_per_side"]["value"]
        yield (
            f"Illustration, no evidence: at {cost:.0f} basis points a side 1 would have become "
            f"{net:.2f} ({gross:.2f} before costs; {holding:.2f} by holding every example)."
        )


def _accuracy(found: Found, name: str) -> Mapping[str, Any] | None:
    return found.get(name, {}).get("accuracy")


def _interval(row: Mapping[str, Any]) -> Interval:
    return Interval(
        *(nan if row[key] is None else row[key] for key in ("value", "ci_low", "ci_high"))
    )


def _share(row: Mapping[str, Any]) -> str:
    item = _interval(row)
    return f"{100 * item.value:.1f}% [{100 * item.low:.1f}, {100 * item.high:.1f}]"
