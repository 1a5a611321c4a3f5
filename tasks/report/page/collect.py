"""Everything a report shows, read from the warehouse in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import FINAL
from tasks.evaluation.looks import stored_verdicts
from tasks.evaluation.notes import notes
from tasks.evaluation.spec import REFERENCE, TEST, TRIVIAL, WALK_FORWARD, EvaluationSpec
from tasks.evaluation.verdict import Cell, Verdict
from warehouse.lake import Lake
from warehouse.tables.models import Model, read_models

SHOWN_EXAMPLES = 6

Metrics = Mapping[str, Mapping[tuple[str, str | None], Cell]]
"""Predictor to (metric, baseline or None) to cell, on the whole split."""


class ReportError(ValueError):
    """A report on something the warehouse does not hold; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A data set's row: identity, names, and its manifest, parsed. `created_at` is UTC."""

    dataset_id: str
    names: str | None
    spec_id: str
    snapshot_id: int
    created_at: datetime
    path: str
    manifest: DatasetManifest


@dataclass(frozen=True, slots=True)
class ReportData:
    """One report's content. Every table has the grain its statement `report_*` states.

    `dataset` is None before the first data set is built; then everything that belongs to one is
    empty. `models` are those trained on it, newest first. `evaluations` holds the test split,
    `walked` the pooled walk-forward folds, `final` the verdicts on the final holdout once it is
    opened. `returns` has each backtest prediction with its label's return. `notes` say of the first
    verdict's predictor what the robustness checks showed; `spec` is what it was evaluated by.
    `synthetic` says that at least one headline source is generated.
    """

    dataset: DatasetRecord | None
    sources: pa.Table
    tickers: pa.Table
    months: pa.Table
    quarantine: pa.Table
    failures: pa.Table
    checks: pa.Table
    labels: pa.Table
    examples: pa.Table
    models: tuple[Model, ...]
    evaluations: pa.Table
    walked: pa.Table
    reliability: pa.Table
    returns: pa.Table
    verdicts: tuple[Verdict, ...]
    final: tuple[Verdict, ...]
    notes: tuple[str, ...]
    spec: EvaluationSpec
    synthetic: bool


def collect(
    lake: Lake, *, dataset_id: str | None = None, spec: EvaluationSpec | None = None
) -> ReportData:
    """Read what a report shows about `dataset_id` (a whole id; default: the newest data set).

    `spec` is the evaluation's, for the verdict's wording. Raises ReportError for an unknown
    data set, and for a manifest that this version cannot read.
    """
    dataset = _dataset(lake, dataset_id)
    sources = lake.read("report_sources")
    synthetic = bool(pc.any(sources["synthetic"]).as_py())
    about = {
        "dataset_id": dataset.dataset_id if dataset else "",
        "spec_id": dataset.spec_id if dataset else "",
        "rows": SHOWN_EXAMPLES,
    }
    read = {
        name.removeprefix("report_"): lake.read(name, about)
        for name in (
            "report_tickers",
            "report_months",
            "report_quarantine",
            "report_failures",
            "report_checks",
            "report_labels",
            "report_examples",
            "report_evaluations",
            "report_reliability",
            "report_returns",
        )
    }
    stored = read["evaluations"]
    read["evaluations"], read["walked"] = (
        stored.filter(pc.field("split") == split) for split in (TEST, WALK_FORWARD)
    )
    spec = spec or EvaluationSpec(synthetic=synthetic)
    verdicts, final = (
        stored_verdicts(
            lake, stored, spec, dataset_id=dataset.dataset_id if dataset else "", split=split
        )
        for split in (TEST, FINAL)
    )
    return ReportData(
        dataset=dataset,
        sources=sources,
        synthetic=synthetic,
        models=tuple(m for m in read_models(lake) if m.dataset_id == about["dataset_id"]),
        verdicts=verdicts,
        final=final,
        notes=notes(read["evaluations"], verdicts[0].predictor, spec) if verdicts else (),
        spec=spec,
        **read,
    )


def in_order(name: str, verdict: Verdict | None) -> tuple[int, str]:
    """Candidate first, then other models, the reference model, and the trivial baselines."""
    if verdict is not None and name == verdict.predictor:
        return (0, name)
    if name in TRIVIAL:
        return (3 + len(TRIVIAL) - TRIVIAL.index(name), name)
    return (2 if name in REFERENCE else 1, name)


def dataset_rows(lake: Lake) -> list[dict[str, Any]]:
    """One row per data set, newest first: dataset_id, names, created_at, rows, and its sessions.

    `first_session` and `last_session` are None for an empty one. Raises ReportError for a
    manifest that this version cannot read.
    """
    found = []
    for row in lake.read("report_datasets").to_pylist():
        splits = _manifest(row).splits.values()
        firsts = [split.first_session for split in splits if split.first_session]
        lasts = [split.last_session for split in splits if split.last_session]
        found.append(
            {
                "dataset_id": row["dataset_id"],
                "names": row["names"],
                "rows": sum(split.rows for split in splits),
                "first_session": min(firsts, default=None),
                "last_session": max(lasts, default=None),
                "created_at": row["created_at"],
            }
        )
    return found


def _dataset(lake: Lake, dataset_id: str | None) -> DatasetRecord | None:
    rows = lake.read("report_datasets").to_pylist()
    if dataset_id is not None:
        known = [row["dataset_id"] for row in rows]
        rows = [row for row in rows if row["dataset_id"] == dataset_id]
        if not rows:
            raise ReportError(
                f"There is no data set {dataset_id!r} to report on; the warehouse holds "
                f"{', '.join(known[:5]) or 'none'}. Build one with `newsvane dataset build`."
            )
    if not rows:
        return None
    return DatasetRecord(**{**rows[0], "manifest": _manifest(rows[0])})


def _manifest(row: Mapping[str, Any]) -> DatasetManifest:
    try:
        return DatasetManifest.model_validate_json(row["manifest"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise ReportError(
            f"The manifest of data set {row['dataset_id']} cannot be read: {place}: "
            f"{first['msg']}. It was probably written by another version of newsvane; build the "
            "data set again, or report with the version named in its manifest.json."
        ) from error
