"""Does the present still look like what the champion was tested on, in words, prices and calls?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from flows.live_comparison import Record
from flows.settings import Settings
from tasks.prediction.drift import drift_table, input_features
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame


def drifted(lake: Lake, settings: Settings, record: Record) -> pa.Table:
    """One row per feature (see `drift_table`): the model's test split against what came since."""
    asked = record.since["example_id"]
    inputs = evaluation_frame(lake, settings.dataset.spec_id, asked)
    before = _features(record.before, record.before["p_up"])
    after = _features(inputs, record.since["p_up"])
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


def _features(frame: pa.Table, p_up: pa.ChunkedArray) -> dict[str, Any]:
    return input_features(frame) | {"p_up": p_up.to_numpy()}
