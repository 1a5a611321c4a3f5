"""Final holdout: what must hold before it is opened, and the models it is opened for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import FINAL
from tasks.prediction.backtest import chosen_model, split_frame
from tasks.prediction.registry import check_adapter
from warehouse.lake import Lake
from warehouse.tables.looks import HoldoutError, require_unopened
from warehouse.tables.models import Model, models_seen


def closed_holdout(lake: Lake, manifest: DatasetManifest, folder: Path) -> pa.Table:
    """The labelled examples of a data set's final holdout, for the one command that opens it.

    Raises HoldoutError when it has none or it was opened, EvaluationInputError when it is empty.
    """
    if FINAL not in manifest.splits:
        raise HoldoutError(
            f"Data set {manifest.dataset_id} has no final holdout. Set dataset.split.final to its "
            "first day or to a number of sessions, build the data set and train on it; what was "
            "tested on is no holdout any more."
        )
    frame = split_frame(lake, manifest, folder, FINAL)
    require_unopened(lake, frame)
    return frame


def unexposed_models(
    lake: Lake, manifest: DatasetManifest, model_ids: Sequence[str], frame: pa.Table
) -> tuple[Model, ...]:
    """The named models, none of which can have learned from the holdout's examples `frame`.

    Raises HoldoutError for a model that may have, or is named twice, or whose data set is not
    known here; EvaluationInputError for an unknown id, RegistryError for an altered adapter.
    """
    found = [
        chosen_model(lake, manifest.dataset_id, name, preferred="")
        for name in dict.fromkeys(model_ids)
    ]
    models = tuple(model for model in found if model is not None)
    if not models or len(models) < len(model_ids):
        raise HoldoutError(
            f"The final holdout is opened for models by their ids, each once; got "
            f"{', '.join(model_ids) or 'none'}. `newsvane models list` shows them."
        )
    first = pc.min(frame["decision_ts"]).as_py()
    seen = models_seen(lake, [model.model_id for model in models])
    for model in models:
        check_adapter(model)
        until = seen.get(model.model_id)
        if until is None or until >= first:
            known = f"outcomes until {until:%Y-%m-%d %H:%M} UTC" if until else "unknown data"
            raise HoldoutError(
                f"Model {model.model_id} learned from {known}; expected it to end before the final "
                f"holdout's first decision, {first:%Y-%m-%d %H:%M} UTC. The holdout stays closed."
            )
    return models
