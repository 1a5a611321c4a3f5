"""The alarm: does the champion's forward record still lie within what its back-test promised?"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from flows.finetune import FINE_TUNED
from flows.settings import Settings
from tasks.evaluation.forward import Promise, hold_to_promise
from tasks.registry import Model
from warehouse.evaluations import evaluation_frame, read_predictions
from warehouse.lake import Lake


def promises(
    lake: Lake, settings: Settings, matured: pa.Table, model: Model
) -> tuple[Promise, ...]:
    """Accuracy, cross-entropy and calibration of one model: its test split against what came since.

    `matured` as from `matured_predictions`. Empty while either side has no rows.
    """
    since = of_model(matured, model)
    tested = of_model(read_predictions(lake, model.dataset_id), model)
    if not since.num_rows or not tested.num_rows:
        return ()
    before = evaluation_frame(lake, settings.dataset.spec_id, tested["example_id"])
    return hold_to_promise(
        FINE_TUNED,
        (before, tested["p_up"].to_numpy()),
        (since, since["p_up"].to_numpy()),
        settings.evaluation,
    )


def alarm(found: tuple[Promise, ...]) -> str:
    """What to say of the promises: the broken ones, or that all are kept."""
    broken = [promise.words for promise in found if promise.broken]
    if broken:
        return f"ALARM: {' '.join(broken)}"
    return "The forward record is within what the back-test promised." if found else ""


def of_model(rows: pa.Table, model: Model) -> pa.Table:
    """The predictions that one model made as `fine_tuned`."""
    own = pc.and_(
        pc.equal(rows["predictor"], FINE_TUNED), pc.equal(rows["model_id"], model.model_id)
    )
    return rows.filter(own)
