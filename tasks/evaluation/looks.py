"""Correction for looks: a lead's p-value, corrected for every predictor judged on its sessions.

Whoever tries fifty models on one test split and reports the best has not tested it. Every
evaluation is on record (`looks`), with the sessions it saw; the correction resamples all of them
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.dataset.spec.split import FINAL
from tasks.evaluation.intervals import deviations, label_window, normal_score, resampling
from tasks.evaluation.metrics import Floats, from_sums, session_sums
from tasks.evaluation.spec import REFERENCE, TRIVIAL, EvaluationSpec
from tasks.evaluation.verdict import Correction, Verdict, read_verdicts
from warehouse.lake import Lake
from warehouse.tables.looks import holdout_history, look_predictions, looks_overlapping


@dataclass(frozen=True, slots=True)
class Look:
    """One predictor's P(up) beside its baselines', on the examples it was judged on.

    `frame`: session, label_up, label_start_ts and label_end_ts; `p_up` and each of `baselines` are
    aligned to its rows.
    """

    frame: pa.Table
    p_up: Floats
    baselines: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class _Lead:
    """A look's lead over the baseline it leads by least: studentised, and its errors by draw."""

    baseline: str
    statistic: float
    errors: Floats


def judged(predictions: Mapping[str, Any]) -> dict[str, Any]:
    """Those whose evaluation is a look: all but the trivial baselines."""
    return {name: p_up for name, p_up in predictions.items() if name not in TRIVIAL}


def correct(looks: Sequence[Look], spec: EvaluationSpec, *, lost: int = 0) -> Correction:
    """The first look's p-value, alone and corrected for all `looks` and for `lost` ones.

    Step-down over the largest studentised error of all leads on the same resampled blocks of
    sessions (Romano and Wolf 2005, Econometrica 73(4), algorithm 4.1; the single step is White's
    reality check, 2000, studentised as in Hansen 2005). Each predictor stands by its lead over the
    baseline it leads by least, as the claim "better than every baseline" does, so one look is
    tested as its interval tests it. Lost looks, whose predictions are not stored, count in the way
    of Bonferroni. p-values are two-sided, as the intervals are.
    """
    leads = _leads(looks, spec)
    own = leads[0]
    alone = _p_value(own.errors, own.statistic)
    order = sorted(range(len(leads)), key=lambda k: -leads[k].statistic)
    stepped = 0.0
    for place, k in enumerate(order):
        largest = np.max([leads[j].errors for j in order[place:]], axis=0)
        stepped = max(stepped, _p_value(largest, leads[k].statistic))
        if k == 0:
            break
    corrected = min(1.0, stepped + lost * alone)
    return Correction(len(looks) + lost, own.baseline, alone, corrected)


def stored_verdicts(
    lake: Lake, evaluations: pa.Table, spec: EvaluationSpec, *, dataset_id: str, split: str
) -> tuple[Verdict, ...]:
    """The verdicts on one split as stored, corrected for every look at its sessions until now.

    `evaluations`: rows of `report_evaluations`.
    """
    rows = evaluations.filter(pc.field("split") == split)
    named = rows.select(["predictor", "model_id"]).filter(pc.is_valid(rows["model_id"]))
    ids = dict(zip(*(column.to_pylist() for column in named.columns), strict=True))
    verdicts = read_verdicts(rows, spec)
    return corrected(lake, verdicts, spec, dataset_id=dataset_id, split=split, model_ids=ids)


def corrected(
    lake: Lake,
    verdicts: Sequence[Verdict],
    spec: EvaluationSpec,
    *,
    dataset_id: str,
    split: str,
    model_ids: Mapping[str, str],
) -> tuple[Verdict, ...]:
    """The verdicts on one split, corrected for every look at its sessions so far.

    `model_ids`: predictor to model_id, of those that are models. A verdict whose own look is not
    on record, from a release that kept none, or whose predictions are gone, stays as it is. Those
    on a final holdout say whether it was the first and only look.
    """
    holdout = _holdout(holdout_history(lake, dataset_id)) if split == FINAL and verdicts else ""
    found = []
    for verdict in verdicts:
        own = correction_of(
            lake,
            spec,
            dataset_id=dataset_id,
            split=split,
            predictor=verdict.predictor,
            model=model_ids.get(verdict.predictor),
        )
        counted = verdict.corrected(own, spec) if own and verdict.comparisons else verdict
        found.append(replace(counted, holdout=holdout))
    return tuple(found)


def correction_of(
    lake: Lake,
    spec: EvaluationSpec,
    *,
    dataset_id: str,
    split: str,
    predictor: str,
    model: str | None,
) -> Correction | None:
    """One predictor's correction for looks on one split; None if its own look is not on record."""
    found = looks_overlapping(
        lake, dataset_id, split, predictor, model, uncounted=(*TRIVIAL, *REFERENCE)
    )
    kept = found.filter(pc.field("stored"))
    if not found.num_rows or not found["asked"][0].as_py():
        return None
    rows = look_predictions(lake, kept["look_id"], TRIVIAL)
    looks = {
        name: look
        for name in kept["look_id"].to_pylist()
        if (look := _look(rows.filter(pc.field("look_id") == name))).baselines
    }
    if found["look_id"][0].as_py() not in looks:
        return None
    lost = found.num_rows - len(looks)
    return correct(tuple(looks.values()), spec, lost=lost)


def _holdout(history: Mapping[str, int]) -> str:
    before, after, forward = (history[name] for name in ("before", "after", "forward"))
    if before:
        words = f"Final holdout, but not the first look at its sessions: {before:,} came before."
    elif after:
        words = f"Final holdout: the first look at its sessions; {after:,} came after it."
    else:
        words = "Final holdout: the first and only look at its sessions."
    if forward:
        words += f" {forward:,} models have forward predictions of some of them on record."
    return words


def _look(rows: pa.Table) -> Look:
    """From `look_predictions`; a baseline counts where it predicted every example."""
    own = rows.filter(pc.is_null(rows["baseline"]))
    baselines = {}
    for name in pc.unique(rows["baseline"]).drop_null().to_pylist():
        theirs = rows.filter(pc.field("baseline") == name)
        place = pc.index_in(own["example_id"], theirs["example_id"])
        if not place.null_count:
            baselines[name] = theirs["p_up"].to_numpy()[place.to_numpy()]
    return Look(own, own["p_up"].to_numpy(), baselines)


def _leads(looks: Sequence[Look], spec: EvaluationSpec) -> list[_Lead]:
    """Every look's lead, on blocks of all their sessions together, drawn alike for all."""
    sessions = np.unique(np.concatenate([look.frame["session"].to_numpy() for look in looks]))
    sums = [_sums(look, sessions, spec) for look in looks]
    window = max(label_window(look.frame) for look in looks)
    # The longest of hundreds of series would be long by chance: the first look's own decide.
    first, rivals = sums[0]
    series = deviations((first, *rivals.values()), spec.decided_by)
    drawn = resampling(series, window, spec, "all")
    found = []
    for own, others in sums:
        held = int(np.count_nonzero(own[:, 0]))
        block = min(drawn.block, max(1, held // 2))
        value = _deciding(own, drawn.weights, spec)
        leads = []
        for name, other in others.items():
            gap = value - _deciding(other, drawn.weights, spec)
            error = float(np.nanstd(gap[1:]))
            ratio = gap[0] / error if error > 0 else 0.0
            statistic = normal_score(float(ratio), held, window, block)
            errors = (gap[0] - gap[1:]) / error if error > 0 else np.zeros(len(gap) - 1)
            leads.append(_Lead(name, 0.0 if isnan(statistic) else statistic, np.nan_to_num(errors)))
        found.append(min(leads, key=lambda lead: lead.statistic))
    return found


def _sums(
    look: Look, sessions: np.ndarray, spec: EvaluationSpec
) -> tuple[Floats, dict[str, Floats]]:
    label = np.asarray(look.frame["label_up"].to_numpy(), dtype=bool)
    code = np.searchsorted(sessions, look.frame["session"].to_numpy())

    def of(p_up: Floats) -> Floats:
        return session_sums(label, p_up, code, len(sessions), bins=spec.bins, clip=spec.clip)

    return of(look.p_up), {name: of(p_up) for name, p_up in look.baselines.items()}


def _deciding(sums: Floats, weights: Floats, spec: EvaluationSpec) -> Floats:
    """The deciding metric by draw, larger is better."""
    values = from_sums(weights @ sums)[spec.decided_by]
    return -values if spec.decided_by == "cross_entropy" else values


def _p_value(errors: Floats, statistic: float) -> float:
    exceeding = int(np.count_nonzero(errors >= statistic))
    return min(1.0, 2 * (1 + exceeding) / (1 + len(errors)))
