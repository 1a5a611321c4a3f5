"""A model's forward record beside its back-test: what was promised, and is it kept?"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from flows.settings import Settings
from flows.training import FINE_TUNED
from tasks.prediction.live import Promise, hold_to_promise
from tasks.prediction.registry import Model
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame, read_predictions


@dataclass(frozen=True, slots=True)
class Record:
    """One model's predictions, one row per example: of its test split, and made forward `since`.

    `before` has the columns of `evaluation_frame`, `since` those of `matured_predictions`; both
    have p_up.
    """

    before: pa.Table
    since: pa.Table


def record_of(lake: Lake, settings: Settings, matured: pa.Table, model: Model) -> Record | None:
    """The record of a model; None while either side has no rows. `matured`: of all predictors."""
    since = _of(matured, model)
    tested = _of(read_predictions(lake, model.dataset_id), model)
    if not since.num_rows or not tested.num_rows:
        return None
    before = evaluation_frame(lake, settings.dataset.spec_id, tested["example_id"])
    return Record(before.append_column("p_up", tested["p_up"]), since)


def promises(record: Record, settings: Settings) -> tuple[Promise, ...]:
    """Accuracy, cross-entropy and calibration: the test split against what came since."""
    before, since = ((side, side["p_up"].to_numpy()) for side in (record.before, record.since))
    return hold_to_promise(FINE_TUNED, before, since, settings.evaluation)


def alarm(found: tuple[Promise, ...]) -> str:
    """What to say of the promises: the broken ones, or that all are kept."""
    broken = [promise.words for promise in found if promise.broken]
    if broken:
        return f"ALARM: {' '.join(broken)}"
    return "The forward record is within what the back-test promised." if found else ""


def _of(rows: pa.Table, model: Model) -> pa.Table:
    own = pc.and_(
        pc.equal(rows["predictor"], FINE_TUNED), pc.equal(rows["model_id"], model.model_id)
    )
    return rows.filter(own)
