"""Hazards of explaining a call: a prompt reworded, an effect kept with another prediction."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.dataset.spec.render import RenderSpec, TemplateError
from tasks.evaluation.neighbours import nearest
from tasks.prediction.explain import explained, left_out
from tests.builders.rows import append, append_headlines, example, model
from warehouse.lake import Lake
from warehouse.tables.explanations import store_explanations
from warehouse.tables.models import store_model
from warehouse.tables.predictions import calls_of, store_forward, upcoming_examples

OPEN = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
BEFORE = OPEN - timedelta(minutes=4)
RENDER = RenderSpec()
NEWS = ("profit rises", "chief leaves", "plant burns")


def _prompt(ticker: str, titles: tuple[str, ...]) -> str:
    return "\n".join([f"{ticker} news:", *(f"- {title}" for title in titles), "Direction:"])


def _score(rows: pa.Table) -> dict[str, Any]:
    """Each good word of the prompt is worth a tenth; the one that burns costs two."""
    texts = rows["input"].to_pylist()
    return {"fine_tuned": [0.5 + 0.1 * ("rises" in t) - 0.2 * ("burns" in t) for t in texts]}


@pytest.fixture
def waiting(lake: Lake) -> Lake:
    """Two tickers before the open of 3 January: one with three headlines, one with one."""
    shown = {"AAPL": NEWS, "MSFT": NEWS[:1]}
    ids = {ticker: [f"{ticker}-{k}" for k in range(len(shown[ticker]))] for ticker in shown}
    append(lake, "examples", [
        example(f"{ticker}@3", OPEN, None, ticker=ticker, headline_ids=ids[ticker],
                story_ids=ids[ticker], input=_prompt(ticker, shown[ticker]))
        for ticker in shown
    ])  # fmt: skip
    for ticker in shown:
        seen = [OPEN - timedelta(hours=5)] * len(ids[ticker])
        append_headlines(lake, ids[ticker], [ticker] * len(seen), seen, list(shown[ticker]))
    return lake


@pytest.fixture
def predicted(waiting: Lake) -> pa.Table:
    frame = upcoming_examples(waiting, "s1", now=BEFORE)
    predictions = {"fine_tuned": _score(frame)["fine_tuned"], "majority": [0.5, 0.5]}
    made = {"model_ids": {"fine_tuned": "m1"}, "dataset_id": "d1", "now": BEFORE}
    store_forward(waiting, frame, predictions, **made)
    return frame


def test_a_headline_left_out_changes_nothing_else_of_the_prompt() -> None:
    assert RENDER.leave_one_out(_prompt("AAPL", NEWS), 3) == (
        _prompt("AAPL", NEWS[1:]),
        _prompt("AAPL", (NEWS[0], NEWS[2])),
        _prompt("AAPL", NEWS[:2]),
    )
    assert RENDER.leave_one_out("AAPL news:\n\nDirection:", 0) == ()


def test_counts_and_lines_of_two_parts_are_found_again() -> None:
    render = RenderSpec(
        template="{ticker} {{x}} on {session}, {headline_count} items:\n{headlines}\n"
        "Market {market_return}. Up?",
        headline_template="{title}\n({source})",
    )
    text = "AAPL {x} on 2024-01-03, 7 items:\nprofit (up)\n(wire)\nfire\n(tape)\nMarket +0.1%. Up?"
    assert render.leave_one_out(text, 2) == (
        "AAPL {x} on 2024-01-03, 6 items:\nfire\n(tape)\nMarket +0.1%. Up?",
        "AAPL {x} on 2024-01-03, 6 items:\nprofit (up)\n(wire)\nMarket +0.1%. Up?",
    )


@pytest.mark.parametrize(
    ("render", "text", "count"),
    [
        (
            RenderSpec(separator=" | ", headline_template="{title}"),
            "A news:\na | b | c\nDirection:",
            2,
        ),
        (RenderSpec(template="{ticker} went"), "A went", 1),
        (RENDER, "quite another prompt", 1),
    ],
)
def test_headlines_that_cannot_be_told_apart_are_not_guessed(
    render: RenderSpec, text: str, count: int
) -> None:
    with pytest.raises(TemplateError, match="cannot be parted into its"):
        render.leave_one_out(text, count)


def test_each_headline_has_the_effect_it_has(waiting, predicted) -> None:
    whole = _score(predicted)
    rows = explained(predicted, whole, _score, RENDER, model_ids={"fine_tuned": "m1"})
    effects = {
        (row["example_id"], row["headline_id"]): round(row["p_up"] - row["p_up_without"], 6)
        for row in rows.to_pylist()
    }
    assert effects == {
        ("AAPL@3", "AAPL-0"): 0.1, ("AAPL@3", "AAPL-1"): 0.0, ("AAPL@3", "AAPL-2"): -0.2,
        ("MSFT@3", "MSFT-0"): 0.1,
    }  # fmt: skip
    assert left_out(predicted.slice(0, 0), RENDER).num_rows == 0


def test_explanations_stay_with_the_prediction_that_saw_the_headlines(waiting, predicted) -> None:
    rows = explained(predicted, _score(predicted), _score, RENDER, model_ids={"fine_tuned": "m1"})
    store_explanations(waiting, rows, now=BEFORE)
    snapshot = waiting.snapshot_id()
    store_explanations(waiting, rows, now=OPEN)
    assert waiting.snapshot_id() == snapshot
    place = rows.column_names.index("headline_ids")
    others = pa.array([["another"]] * rows.num_rows, rows.schema.field("headline_ids").type)
    store_explanations(waiting, rows.set_column(place, "headline_ids", others), now=OPEN)
    assert waiting.snapshot_id() == snapshot
    read = waiting.read("explanations_asof", {"asof": BEFORE}).to_pylist()
    assert [(row["ticker"], row["title"]) for row in read] == [
        ("AAPL", "plant burns"), ("AAPL", "profit rises"), ("AAPL", "chief leaves"),
        ("MSFT", "profit rises"),
    ]  # fmt: skip
    assert waiting.read("explanations_asof", {"asof": BEFORE - timedelta(days=1)}).num_rows == 0
    shown = waiting.read("site_today").filter(pa.compute.field("model_id") == "m1").to_pylist()
    moved = {item["title"]: item["effect"] for item in shown[0]["headlines"]}
    assert shown[0]["ticker"] == "AAPL"
    assert moved["plant burns"] == pytest.approx(-0.2)


def _judged(lake: Lake, threshold: float | None, dataset: str = "d1") -> None:
    store_model(lake, model("m1"))
    append(lake, "evaluations", [{
        "dataset_id": dataset, "split": "test", "slice": "all", "predictor": "fine_tuned",
        "model_id": "m1", "metric": "abstention_threshold", "value": threshold, "n_examples": 9,
        "n_sessions": 3, "evaluated_at": BEFORE,
    }])  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "dataset", "calls"),
    [
        (0.1, "d1", ["up", "up"]),
        (0.15, "d1", ["no call", "no call"]),
        (None, "d1", ["no call", "no call"]),
        (0.15, "of another", ["up", "up"]),
    ],
)
def test_no_call_below_the_threshold_that_the_models_evaluation_chose(
    waiting, threshold: float | None, dataset: str, calls: list[str]
) -> None:
    """And a baseline, which nobody chose a threshold for, has a call for every lean."""
    _judged(waiting, threshold, dataset)
    frame = upcoming_examples(waiting, "s1", now=BEFORE)
    predictions = {"fine_tuned": [0.61, 0.605], "majority": [0.45, 0.45]}
    found = calls_of(waiting, frame, predictions, {"fine_tuned": "m1"}).to_pylist()
    assert [row["call"] for row in found] == [*calls, "down", "down"]
    assert [row["rank"] for row in found] == [1, 2, 1, 1]
    store_forward(
        waiting, frame, predictions, model_ids={"fine_tuned": "m1"}, dataset_id="d1", now=BEFORE
    )
    stored = waiting.read("forward_asof", {"asof": BEFORE}).to_pylist()
    assert [row["call"] for row in stored] == [*calls, "down", "down"]


def test_nearest_examples_come_from_what_they_are_given_and_share_a_word() -> None:
    train = pa.table({
        "example_id": ["a", "b", "c"], "session": [date(2024, 1, 1)] * 3,
        "input": ["profit rises sharply", "chief leaves", "zebra"],
    })  # fmt: skip
    first, nothing = nearest(train, ["profit rises again", "quite unlike"], count=2)
    assert first["example_id"].to_pylist() == ["a"]
    assert 0 < first["similarity"][0].as_py() < 1
    assert nothing.num_rows == 0
    empty = train.set_column(2, "input", pa.array(["", "", ""]))
    assert [found.num_rows for found in nearest(empty, ["profit"])] == [0]
    assert np.isclose(nearest(train, ["zebra"])[0]["similarity"][0].as_py(), 1.0)
