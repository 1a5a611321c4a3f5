"""Does the present still look like what the champion was tested on, in words, prices and calls?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from flows.promise import of_model
from flows.settings import Settings
from tasks.evaluation.drift import DRIFT, drift_table, input_features
from tasks.registry import Model
from warehouse.evaluations import evaluation_frame, read_predictions
from warehouse.lake import Lake


def drifted(lake: Lake, settings: Settings, matured: pa.Table, model: Model) -> pa.Table:
    """One row per feature (see `drift_table`): the model's test split against what came since.

    `matured` as from `matured_predictions`. Empty while either side has no rows.
    """
    tested = of_model(read_predictions(lake, model.dataset_id), model)
    since = of_model(matured, model)
    if not tested.num_rows or not since.num_rows:
        return DRIFT.empty_table()
    before, after = (_features(lake, settings, rows) for rows in (tested, since))
    known = {name for name in before if np.isfinite(before[name]).any()}
    known &= {name for name in after if np.isfinite(after[name]).any()}
    return drift_table({name: before[name] for name in known}, after)


def drift_in_words(table: pa.Table) -> str:
    """The features that drifted, how far and by how many rows that is known; else nothing."""
    told = [
        f"{row['feature']} drifts ({row['drift']}: PSI {row['psi']:.2f} over "
        f"{row['n_current']} rows)"
        for row in table.to_pylist()
        if row["drift"] != "none"
    ]
    return f"{'; '.join(told)}." if told else ""


def _features(lake: Lake, settings: Settings, rows: pa.Table) -> dict[str, Any]:
    frame = evaluation_frame(lake, settings.dataset.spec_id, rows["example_id"])
    return input_features(frame) | {"p_up": rows["p_up"].to_numpy()}
