"""Hazards of published figures: one without a source, two places that state it, a figure that lies
outside our interval and is not named."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tasks.evaluation.published import PUBLISHED, Figure, Published, Rerun, figures_table
from tasks.evaluation.replication import compared_with, in_words, replicated
from tasks.evaluation.spec import EvaluationSpec
from tests.conftest import REPOSITORY

KNOWN = {
    ("StockNet", "stocknet"): (58.23, 0.081, "primary", [(53.60, -0.025)]),
    ("Adv-ALSTM", "stocknet"): (
        57.20, 0.148, "primary", [(56.45, 0.131), (57.12, 0.143), (53.11, 0.069)],
    ),
    ("DTML", "stocknet"): (58.12, 0.181, "primary", []),
    ("SLOT", "stocknet"): (58.72, 0.207, "primary", []),
    ("MAN-SF", "stocknet"): (60.8, 0.195, "secondary", []),
    ("CMIN", "stocknet"): (62.69, 0.209, "secondary", []),
    ("CausalStock", "stocknet"): (63.42, 0.217, "secondary", []),
    ("CausalStock", "cmin-us"): (54.64, 0.048, "secondary", []),
    ("STLAT", "stocknet"): (64.56, 0.297, "secondary", []),
}  # fmt: skip
SPEC = EvaluationSpec(resamples=400)


def test_every_figure_is_there_with_grade_source_and_reruns() -> None:
    found = {
        (item.method, item.benchmark): (
            item.accuracy, item.mcc, item.grade, [(one.accuracy, one.mcc) for one in item.rerun],
        )
        for item in PUBLISHED.figure
    }  # fmt: skip
    assert found == KNOWN
    assert len(found) == len(PUBLISHED.figure)
    assert all(item.source and item.rows and item.inputs for item in PUBLISHED.figure)
    assert all(item.year for item in PUBLISHED.figure if item.grade == "primary")
    assert "prices alone" in next(i for i in PUBLISHED.figure if i.method == "Adv-ALSTM").inputs


def test_figure_without_a_source_is_refused() -> None:
    good = PUBLISHED.model_dump()
    for field in ("source", "grade", "rerun", "rows"):
        figures = [{k: v for k, v in good["figure"][0].items() if k != field}]
        with pytest.raises(ValueError, match=field):
            Published.model_validate({**good, "figure": figures})


def test_alarm_stays_below_the_best_published_and_says_why() -> None:
    on_stocknet = PUBLISHED.of("stocknet")
    assert PUBLISHED.alarm.accuracy < max(item.accuracy for item in on_stocknet) / 100
    assert PUBLISHED.alarm.mcc < max(item.mcc for item in on_stocknet)
    assert PUBLISHED.alarm.reason.startswith("Not the best published")
    spec = EvaluationSpec()
    assert (spec.literature_accuracy, spec.literature_mcc) == (0.59, 0.21)


def test_no_other_file_states_a_published_figure() -> None:
    figures = {f"{one.accuracy:.2f}" for item in PUBLISHED.figure for one in (item, *item.rerun)}
    pattern = re.compile("|".join(rf"(?<![\d.]){re.escape(f)} ?%" for f in sorted(figures)))
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    code = [p for room in ("flows", "tasks", "newsvane") for p in (REPOSITORY / room).rglob("*.py")]
    stating = [path for path in (*pages, *code) if pattern.search(path.read_text("utf-8"))]
    assert stating == []


def test_table_of_the_docs_holds_every_figure() -> None:
    made = figures_table()
    for item in PUBLISHED.figure:
        assert f"| {item.method} | {item.benchmark} | {item.words()} |" in made
        assert all(one.words() in made for one in item.rerun)


def figure(accuracy: float, mcc: float, *rerun: tuple[float, float]) -> Figure:
    again = tuple(Rerun(accuracy=a, mcc=m, source="others") for a, m in rerun)
    return Figure(
        method="tone", benchmark="x", accuracy=accuracy, mcc=mcc, year=2020, inputs="text",
        source="someone", grade="primary", rows="not known", rerun=again,
    )  # fmt: skip


def test_figure_outside_our_interval_is_named_metric_by_metric(make_frame) -> None:
    frame = make_frame(sessions=60)
    label = frame["label_up"].to_numpy()
    draw = np.random.default_rng(0)
    seeds = [np.where(draw.random(len(label)) < 0.6, label, ~label) * 0.6 + 0.2 for _ in range(3)]
    results = replicated(frame, {"tone": seeds, "other": seeds[:1]}, SPEC)
    tone = results[0]
    low, high = tone.mean["accuracy"].low, tone.mean["accuracy"].high
    assert low < 0.6 < high
    inside, mcc = 100 * tone.mean["accuracy"].value, tone.mean["mcc"].value
    above = (100 * high + 0.01, tone.mean["mcc"].high + 0.001)
    published = figure(inside, mcc, above, (inside, above[1]))
    found = compared_with(results, [published])
    assert [item.outside for item in found] == [(), ("accuracy", "mcc"), ("mcc",)]
    absent = figure(70, 0.4).model_copy(update={"method": "absent"})
    words = "\n".join(in_words(frame, results, found, [published, absent]))
    assert "outside ours in accuracy and mcc" in words
    assert "Published, not trained here: absent." in words


def test_interval_of_several_seeds_is_of_their_mean(make_frame) -> None:
    frame = make_frame(sessions=40)
    label = frame["label_up"].to_numpy()
    right, wrong = np.where(label, 0.9, 0.1), np.where(label, 0.1, 0.9)
    (both,) = replicated(frame, {"both": [right, wrong]}, SPEC)
    assert both.seeds["accuracy"] == (1.0, 0.0)
    assert both.mean["accuracy"].value == pytest.approx(0.5)
    assert both.mean["accuracy"].low == pytest.approx(0.5)
    assert both.mean["mcc"].value == pytest.approx(0.0)
