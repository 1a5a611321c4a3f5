"""Forward predictions as ForecastBench writes them: one question set, one forecast set a predictor.

Fields as of https://github.com/forecastingresearch/forecastbench (wiki, "How to submit to
ForecastBench"; src/external-submissions/PIPELINE.md; Karger et al. 2024, arXiv:2409.19839). The
questions are our own: ForecastBench's leaderboard takes forecasts of its own questions alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tasks.dataset.spec.dataset import LabelSpec
from tasks.dataset.spec.manifest import DatasetManifest
from warehouse.lake import Lake
from warehouse.storage.atomic import write_text

SOURCE = "newsvane"
NOT_GIVEN = "N/A"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,60}")


class ForecastExportError(ValueError):
    """Predictions cannot be exported as asked; the message says what to do instead."""


def export_forecasts(
    lake: Lake, out: Path, *, organization: str, session: date | None = None
) -> tuple[Path, ...]:
    """Write the forward predictions of one session (default: the latest) and return the files.

    `DUE-newsvane.json` is the question set, `DUE.ORGANIZATION.N.json` the forecast set of each
    record: models by their id, baselines by name. DUE is the day (UTC) of the last decision. Only
    predictions made in time are in them. Raises ForecastExportError when there is none, or for an
    organization that cannot be part of a file's name.
    """
    if not _NAME.fullmatch(organization):
        raise ForecastExportError(
            f"The organization is {organization!r}; expected up to 61 letters, digits, blanks, _ "
            "or -, as it is part of the files' names."
        )
    rows = lake.read("forecasts_of_session", {"session": session}).to_pylist()
    if not rows:
        raise ForecastExportError(
            f"No forward prediction of {session or 'any session'} was made in time; expected the "
            "date of a session that `newsvane predict` predicted before it opened."
        )
    labels = _labels(lake)
    due = max(row["decision_ts"] for row in rows).date().isoformat()
    named = f"{due}-{SOURCE}.json"
    asked = {(row["spec_id"], row["example_id"]): row for row in rows}
    questions = [_question(row, labels.get(row["spec_id"])) for row in asked.values()]
    question_set = {"forecast_due_date": due, "question_set": named, "questions": questions}
    out.mkdir(parents=True, exist_ok=True)
    written = [_written(out / named, question_set)]
    for number, record in enumerate(dict.fromkeys(row["record_id"] for row in rows), start=1):
        own = [row for row in rows if row["record_id"] == record]
        path = out / f"{due}.{organization}.{number}.json"
        written.append(_written(path, _forecast_set(own, organization, record, named, due)))
    return tuple(written)


def _labels(lake: Lake) -> dict[str, LabelSpec]:
    """The label rule of every spec that has a data set."""
    return {
        row["spec_id"]: DatasetManifest.model_validate_json(row["manifest"]).spec.label
        for row in lake.read("report_datasets").to_pylist()
    }


def _question_id(row: Mapping[str, Any]) -> str:
    return f"{row['spec_id']}-{row['example_id']}"


def _question(row: Mapping[str, Any], label: LabelSpec | None) -> dict[str, Any]:
    ends = row["label_end_ts"].date()
    entry = "open" if label is None or label.entry == "open" else "close before"
    lower, upper = label.dead_band if label else (0.0, 0.0)
    against = f" less that of {label.benchmark}" if label and label.benchmark else ""
    return {
        "id": _question_id(row),
        "source": SOURCE,
        "question": (
            f"Will {row['ticker']} return more than {upper:.2%}{against} from the {entry} of "
            f"{row['session']} to the close of {ends}?"
        ),
        "resolution_criteria": (
            f"Yes above {upper:.2%}, no at or below {lower:.2%}; in between, for a price that did "
            "not move, or without a price, the question is void."
        ),
        "background": f"{row['headlines']} headlines were available before the decision. SHA-256 "
        f"of the text the models read: {row['input_sha256']}.",
        "market_info_open_datetime": NOT_GIVEN,
        "market_info_close_datetime": NOT_GIVEN,
        "market_info_resolution_criteria": NOT_GIVEN,
        "url": NOT_GIVEN,
        "freeze_datetime": row["decision_ts"].isoformat(),
        "freeze_datetime_value": NOT_GIVEN,
        "freeze_datetime_value_explanation": NOT_GIVEN,
        "source_intro": "Moves of single stocks over one label window, by daily bars.",
        "resolution_dates": [ends.isoformat()],
    }


def _forecast_set(
    rows: Sequence[Mapping[str, Any]], organization: str, record: str, named: str, due: str
) -> dict[str, Any]:
    return {
        "organization": organization,
        "model": record,
        "model_organization": organization,
        "question_set": named,
        "forecast_due_date": due,
        "forecasts": [
            {
                "id": _question_id(row),
                "source": SOURCE,
                "forecast": row["p_up"],
                "resolution_date": row["label_end_ts"].date().isoformat(),
                "reasoning": None,
            }
            for row in rows
        ],
    }


def _written(path: Path, document: Mapping[str, Any]) -> Path:
    write_text(path, json.dumps(document, indent=2) + "\n")
    return path
