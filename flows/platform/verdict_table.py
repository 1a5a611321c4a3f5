"""The verdict's table, as the terminal and the Prefect UI show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.evaluation.evaluate import Evaluation

SHOWN = ("accuracy", "auroc", "cross_entropy")
"""Few enough to fit a terminal of 80 columns; the report shows all of them."""


def verdict_table(outcome: Evaluation) -> list[dict[str, str]]:
    """One row per predictor: its headline metrics on the whole test split, with intervals."""
    table: dict[str, dict[str, str]] = {}
    for row in outcome.rows.to_pylist():
        if row["slice"] == "all" and row["metric"] in SHOWN:
            cells = table.setdefault(row["predictor"], {"predictor": row["predictor"]})
            cells[row["metric"]] = _with_interval(row)
    return list(table.values())


def _with_interval(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return "–"
    if row["ci_low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
