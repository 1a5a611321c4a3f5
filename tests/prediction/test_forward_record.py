"""Hazards of a forward record: predictions after the fact, changed, or scored too early."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.checks.integrity import seal
from tasks.evaluation.spec import EvaluationError, EvaluationSpec
from tasks.prediction.record import ForwardRecord
from tests.builders.rows import append, example
from warehouse.lake import Lake
from warehouse.tables.predictions import (
    ForwardPublication,
    forward_states,
    pending_predictions,
    store_forward,
    upcoming_examples,
)

OPEN = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
BEFORE = OPEN - timedelta(minutes=4)
CLOSE = OPEN + timedelta(hours=6)


def _example(ticker: str, opened: datetime, label: str | None) -> dict[str, Any]:
    named = {"ticker": ticker, "headline_ids": [f"h-{ticker}"], "input": f"news of {ticker}"}
    return example(f"{ticker}-{opened.date()}", opened, label, **named)


@pytest.fixture
def waiting(lake: Lake) -> Lake:
    """Two tickers before the open of 3 January, one more example a day later."""
    rows = [_example(ticker, OPEN, None) for ticker in ("AAPL", "MSFT")]
    append(lake, "examples", [*rows, _example("AAPL", OPEN + timedelta(days=1), None)])
    return lake


def _predict(
    lake: Lake,
    now: datetime,
    p_up: float = 0.6,
    *,
    seen_at: datetime = BEFORE,
    model: str = "m1",
    name: str = "champion",
) -> ForwardPublication:
    frame = upcoming_examples(lake, "s1", now=seen_at)
    made = {"model_ids": {name: model}, "dataset_id": "d1", "now": now}
    return store_forward(lake, frame, {name: [p_up] * frame.num_rows}, **made)


def _outcome(lake: Lake) -> None:
    rows = [_example("AAPL", OPEN, "up"), _example("MSFT", OPEN, "down")]
    table = pa.Table.from_pylist(rows)
    lake.transact(lambda tx: tx.upsert("examples", table, ("spec_id", "example_id")))


def _scored(lake: Lake, now: datetime) -> pa.Table:
    """The scored predictions of models, without the rules."""
    states = forward_states(lake, now=now)
    return states.filter((pc.field("state") == "scored") & ~pc.field("rule"))


def test_only_the_next_session_is_predicted(waiting) -> None:
    frame = upcoming_examples(waiting, "s1", now=BEFORE)
    assert frame["example_id"].to_pylist() == ["AAPL-2024-01-03", "MSFT-2024-01-03"]
    later = upcoming_examples(waiting, "s1", now=BEFORE + timedelta(days=1))
    assert later["session"].to_pylist() == [date(2024, 1, 4)]


def test_lookahead_prediction_after_the_open_is_refused(waiting) -> None:
    published = _predict(waiting, OPEN)
    assert published.added == 0
    assert set(published.refused["status"].to_pylist()) == {"late"}
    assert waiting.sql("SELECT count(*) AS n FROM predictions")["n"].to_pylist() == [0]


def test_prediction_is_never_changed(waiting) -> None:
    assert _predict(waiting, BEFORE).added == 2
    snapshot = waiting.snapshot_id()
    again = _predict(waiting, BEFORE + timedelta(minutes=1))
    assert (again.added, again.repeated, again.refused.num_rows) == (0, 2, 0)
    changed = _predict(waiting, BEFORE + timedelta(minutes=2), 0.9)
    assert set(changed.refused["status"].to_pylist()) == {"already committed"}
    assert waiting.snapshot_id() == snapshot
    stored = waiting.sql("SELECT DISTINCT p_up, predicted_at FROM predictions").to_pylist()
    assert stored == [{"p_up": 0.6, "predicted_at": BEFORE}]


def test_backdated_prediction_is_refused(waiting) -> None:
    _predict(waiting, BEFORE - timedelta(hours=1), model="m0")
    seal(waiting, now=OPEN + timedelta(minutes=1))
    published = _predict(waiting, BEFORE)
    assert set(published.refused["status"].to_pylist()) == {"backdated"}


def test_prediction_remembers_what_it_saw(waiting) -> None:
    _predict(waiting, BEFORE)
    query = "SELECT headline_ids, input_sha256, model_id FROM predictions ORDER BY ticker LIMIT 1"
    expected = waiting.sql("SELECT sha256('news of AAPL') AS h")["h"][0].as_py()
    assert waiting.sql(query).to_pylist() == [
        {"headline_ids": ["h-AAPL"], "input_sha256": expected, "model_id": "m1"}
    ]


def test_outcome_counts_only_once_it_is_final(waiting) -> None:
    _predict(waiting, BEFORE)
    _outcome(waiting)
    early = CLOSE - timedelta(seconds=1)
    assert _scored(waiting, early).num_rows == 0
    pending = pending_predictions(waiting, "s1", now=early).to_pylist()
    assert pending == [{"predictor": "champion", "reason": "session not finished", "n": 2}]
    scored = _scored(waiting, CLOSE)
    assert scored["label_up"].to_pylist() == [True, False]
    assert pending_predictions(waiting, "s1", now=CLOSE).num_rows == 0


def test_late_row_smuggled_into_the_table_does_not_count(waiting) -> None:
    _predict(waiting, BEFORE)
    _outcome(waiting)
    stored = waiting.sql("SELECT * FROM predictions WHERE ticker = 'MSFT'").to_pylist()
    smuggled = [{**row, "predicted_at": OPEN} for row in stored]
    table = pa.Table.from_pylist(smuggled, schema=waiting.sql("FROM predictions LIMIT 0").schema)
    waiting.transact(lambda tx: tx.upsert("predictions", table, ("prediction_id",)))
    assert _scored(waiting, CLOSE)["ticker"].to_pylist() == ["AAPL"]


def test_two_models_under_one_name_have_a_record_each(waiting) -> None:
    _predict(waiting, BEFORE, 0.6, model="m1")
    _predict(waiting, BEFORE + timedelta(minutes=1), 0.1, model="m2")
    _outcome(waiting)
    scored = _scored(waiting, CLOSE).select(["predictor", "p_up"]).to_pylist()
    assert scored == [{"predictor": m, "p_up": p} for m, p in (("m1", 0.6), ("m2", 0.1))] * 2


def test_one_model_under_two_names_has_one_record_of_first_predictions(waiting) -> None:
    _predict(waiting, BEFORE, 0.6, model="m1", name="m1")
    _predict(waiting, BEFORE + timedelta(minutes=1), 0.1, model="m1", name="fine_tuned")
    _outcome(waiting)
    assert _scored(waiting, CLOSE)["p_up"].to_pylist() == [0.6, 0.6]
    states = forward_states(waiting, now=CLOSE)
    assert states.filter(pc.field("state") == "repeated")["p_up"].to_pylist() == [0.1, 0.1]


def test_predictors_are_compared_on_common_examples_only() -> None:
    states = pa.table(
        {
            "predictor": ["champion", "champion", "challenger"],
            "spec_id": ["s1"] * 3,
            "example_id": ["b", "a", "a"],
            "rule": [False] * 3,
            "session": [date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 3)],
            "label_start_ts": [BEFORE, CLOSE, CLOSE],
            "label_end_ts": [CLOSE, CLOSE + timedelta(hours=1), CLOSE + timedelta(hours=1)],
            "p_up": [0.1, 0.2, 0.7],
            "label_up": [True, False, False],
            "state": ["scored"] * 3,
        }
    )
    record = ForwardRecord(states, pa.table({}), EvaluationSpec(resamples=100))
    paired = record.compare("champion", "challenger")
    assert paired is not None
    found, shared = paired
    assert shared["example_id"].to_pylist() == ["a"]
    assert found.accuracy.value == 1.0
    assert record.statistics("champion").estimates["champion"]["accuracy"].value == 0.5
    with pytest.raises(EvaluationError, match="No forward prediction of nobody"):
        record.verdict("nobody", "nobody")
