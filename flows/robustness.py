"""Second looks at an evaluation's contestants: calibrated, masked, and what calls would earn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.connections import clock_of
from flows.predictors import READERS, Contestants
from flows.settings import Settings
from flows.training import FINE_TUNED
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.evaluation.calibration import fit_calibration
from tasks.evaluation.robustness import MASKED, another_way, calibrated, illustrated
from tasks.evaluation.spec import REFERENCE, ZERO_SHOT
from tasks.prediction.text_models import write_examples
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame

MASK = "COMPANY"
"""The word in place of tickers and names."""


def calibration_rows(
    who: Contestants,
    validation: pa.Table,
    test: pa.Table,
    predictions: Mapping[str, Any],
    folder: Path,
) -> list[pa.Table]:
    """Each fitted contestant calibrated on the validation split alone, beside its raw P(up).

    Nothing when that split holds one outcome only: then there is nothing to fit.
    """
    if len(validation["label_up"].unique()) < 2:
        return []
    spec = who.settings.evaluation
    judged = who.only((FINE_TUNED, *REFERENCE, ZERO_SHOT))
    return [
        calibrated(
            test,
            name,
            predictions[name],
            fit_calibration(validation["label_up"].to_numpy(), p_up, spec.calibration),
            spec,
        )
        for name, p_up in judged.p_up(validation, folder, "validation").items()
    ]


def masking_rows(
    lake: Lake,
    who: Contestants,
    manifest: DatasetManifest,
    test: pa.Table,
    predictions: Mapping[str, Any],
) -> list[pa.Table]:
    """Contestants that learned from text, asked again with every company's name masked.

    The masked examples are built beside the plain ones, under a spec of their own. Nothing when
    the data set is masked already.
    """
    render = manifest.spec.render
    if render.mask is not None:
        return []
    settings = who.settings
    masked_render = render.model_copy(update={"mask": MASK})
    spec = manifest.spec.model_copy(update={"render": masked_render})
    refresh_examples(lake, spec, now=clock_of(settings)())
    masked = evaluation_frame(lake, spec.spec_id, test["example_id"])
    folder = write_examples(settings.data_root / "masked", {"test": masked}, render.answers)
    return [
        another_way(test, name, predictions[name], p_up, MASKED, settings.evaluation)
        for name, p_up in who.only(READERS).p_up(masked, folder, "test").items()
    ]


def illustration_rows(
    settings: Settings, manifest: DatasetManifest, test: pa.Table, predictions: Mapping[str, Any]
) -> list[pa.Table]:
    """What the readers' calls would have earned after costs; nothing for an untradable label."""
    if not manifest.tradable:
        return []
    return [
        illustrated(test, name, predictions[name], settings.evaluation)
        for name in READERS
        if name in predictions
    ]
