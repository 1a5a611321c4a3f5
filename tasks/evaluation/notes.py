"""Robustness checks in words: sentences read from stored evaluation rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan

import pyarrow as pa

from tasks.evaluation.abstention import COVERAGE, SELECTIVE_ERROR, STATED, THRESHOLD
from tasks.evaluation.evaluate import Key
from tasks.evaluation.memory import RECALL
from tasks.evaluation.ranking import COEFFICIENT, TURNOVER
from tasks.evaluation.robustness import PLAIN
from tasks.evaluation.spec import MAJORITY, TRIVIAL, EvaluationSpec
from tasks.evaluation.verdict import WHOLE, Cell, cells_by_slice, interval_of, share_in_words

Cells = Mapping[Key, Cell]
"""(metric, baseline) to row, of one predictor and slice."""

Slices = Mapping[str, Cells]


def notes(rows: pa.Table, predictor: str, spec: EvaluationSpec) -> tuple[str, ...]:
    """Sentences on power, tickers, memory, availability, calls, ranking, masking and money.

    `rows`: stored evaluation rows of one split. What was not checked is not mentioned.
    """
    found = cells_by_slice(rows, predictor)
    whole = found.get(WHOLE, {})
    sentences = (
        _power(whole, spec),
        _tickers(found, spec),
        _memory(found),
        _availability(found),
        _calibration(whole),
        _abstention(whole),
        _ranking(whole),
        _masking(whole),
        _illustration(whole),
    )
    return tuple(sentence for group in sentences for sentence in group)


def _power(whole: Cells, spec: EvaluationSpec) -> Iterable[str]:
    edges = {
        baseline: cell["value"]
        for baseline in TRIVIAL
        if (cell := whole.get(("detectable_edge", baseline))) and cell["value"]
    }
    if edges:
        listed = ", ".join(f"{100 * edge:.1f} points to {name}" for name, edge in edges.items())
        yield (
            f"With {spec.power:.0%} power this test could have shown a difference in accuracy of "
            f"{listed}; smaller ones it would mostly miss."
        )


def _tickers(found: Slices, spec: EvaluationSpec) -> Iterable[str]:
    tests = {
        name.partition("=")[2]: cells
        for name, cells in found.items()
        if name.startswith("ticker=") and ("mcnemar_p_holm", MAJORITY) in cells
    }
    if not tests:
        return
    adjusted = {t: cells["mcnemar_p_holm", MAJORITY]["value"] for t, cells in tests.items()}
    raw = min(cells["mcnemar_p", MAJORITY]["value"] for cells in tests.values())
    kept = sorted(ticker for ticker, p in adjusted.items() if p < 1 - spec.level)
    yield (
        f"Of {len(tests)} tickers, {', '.join(kept) or 'none'} "
        f"{'differ' if len(kept) > 1 else 'differs'} from the majority class once corrected for "
        f"their number (Holm; smallest p {min(adjusted.values()):.2g}, uncorrected {raw:.2g})."
    )


def _memory(found: Slices) -> Iterable[str]:
    yield from _recall(found)
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


def _recall(found: Slices) -> Iterable[str]:
    """By the cutoff; on the whole the verdict says it."""
    sides = (
        (side, found.get(f"base_cutoff={side}", {}).get((RECALL, None)))
        for side in ("before", "after")
    )
    listed = [
        f"{cell['value']:.3f} [{cell['ci_low']:.3f}, {cell['ci_high']:.3f}] on "
        f"{cell['n_examples']:,} examples {side} the end of its training data"
        for side, cell in sides
        if cell is not None and cell["ci_low"] is not None
    ]
    if listed:
        yield f"Recall of outcomes without news, as AUROC: {'; '.join(listed)}."


def _availability(found: Slices) -> Iterable[str]:
    observed, asserted = (_accuracy(found, name) for name in ("observed", "asserted"))
    if asserted and observed:
        yield (
            f"Accuracy {_share(observed)} on {observed['n_examples']:,} examples whose news was "
            f"seen to arrive, {_share(asserted)} on {asserted['n_examples']:,} whose times are "
            "the publishers' own."
        )
    elif asserted:
        yield (
            f"None of the {asserted['n_examples']:,} examples rests on news that was seen to "
            "arrive: all times are the publishers' own, from archives or searches."
        )


def _calibration(whole: Cells) -> Iterable[str]:
    if ("cross_entropy_calibrated", None) not in whole or ("cross_entropy", None) not in whole:
        return
    slope = whole.get(("calibration_slope", None), {"value": 1.0})["value"]
    aside = "" if slope > 0 else "; its slope is not positive: no ranking worth keeping was found"
    change = interval_of(whole["cross_entropy_calibrated", PLAIN])
    yield (
        f"Calibrated on {whole['calibration_rows', None]['value']:,.0f} validation examples: "
        f"cross-entropy {whole['cross_entropy', None]['value']:.4f} → "
        f"{whole['cross_entropy_calibrated', None]['value']:.4f} nats ({change.value:+.4f} "
        f"[{change.low:+.4f}, {change.high:+.4f}]), calibration error "
        f"{whole['ece', None]['value']:.3f} → {whole['ece_calibrated', None]['value']:.3f}{aside}."
    )


def _abstention(whole: Cells) -> Iterable[str]:
    cells = [whole.get((name, None)) for name in (THRESHOLD, STATED, COVERAGE, SELECTIVE_ERROR)]
    if None in cells:
        return
    threshold, stated, coverage, error = map(interval_of, cells)
    if isnan(threshold.value):
        yield (
            f"No call: no threshold on P(up) kept the error of the calls below {stated.value:.0%} "
            "on the validation split, so none may be acted on with that error stated."
        )
        return
    yield (
        f"Calls with P(up) at least {threshold.value:.3f} from one half were shown on the "
        f"validation split to err in less than {stated.value:.0%}, on sessions like those. Here "
        f"{coverage.value:.0%} of the examples get a call, and {share_in_words(error)} of these "
        "are wrong."
    )


def _ranking(whole: Cells) -> Iterable[str]:
    cells = [whole.get((name, None)) for name in (COEFFICIENT, TURNOVER)]
    if None in cells:
        return
    coefficient, traded = map(interval_of, cells)
    finding = "" if coefficient.above_zero else ", no ranking shown"
    yield (
        f"Across names P(up) ranks a session's returns with a mean information coefficient of "
        f"{coefficient.value:+.3f} [{coefficient.low:+.3f}, {coefficient.high:+.3f}]{finding}; "
        f"{share_in_words(traded)} of a ranked book is traded from session to session."
    )


def _masking(whole: Cells) -> Iterable[str]:
    cells = [whole.get((f"{metric}_masked", PLAIN)) for metric in ("accuracy", "cross_entropy")]
    if None in cells:
        return
    accuracy, entropy = map(interval_of, cells)
    # A base model that has read about the outcome would know whose news it is as well.
    lost = accuracy.below_zero or entropy.above_zero
    finding = "names matter: part of the result may be memory" if lost else "no dependence on names"
    yield (
        f"With entities masked: {100 * accuracy.value:+.1f} "
        f"[{100 * accuracy.low:+.1f}, {100 * accuracy.high:+.1f}] points of accuracy, "
        f"{entropy.value:+.4f} [{entropy.low:+.4f}, {entropy.high:+.4f}] nats "
        f"({finding}{'' if lost else ' shown'})."
    )


def _illustration(whole: Cells) -> Iterable[str]:
    if ("illustration_net", None) in whole:
        net, gross, holding, cost = (
            whole[f"illustration_{name}", None]["value"]
            for name in ("net", "gross", "holding", "cost_per_side")
        )
        yield (
            f"Illustration, no evidence: at {1e4 * cost:.0f} basis points a side 1 would have "
            f"become {net:.2f} ({gross:.2f} before costs; {holding:.2f} by holding every example)."
        )


def _accuracy(found: Slices, name: str) -> Cell | None:
    return found.get(name, {}).get(("accuracy", None))


def _share(row: Cell) -> str:
    return share_in_words(interval_of(row))
