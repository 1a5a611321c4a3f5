"""The report shows what the warehouse holds, escapes hostile text, and asks for nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pytest

from tasks.evaluation.intervals import Interval
from tasks.evaluation.memory import Memory
from tasks.report.page.collect import ReportError, collect
from tasks.report.page.page import write_report
from tests.builders.rows import NOW, append, columns, registered
from warehouse.tables.evaluations import store_evaluation

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Outline(HTMLParser):
    """Tags, ids, headings, captions and text of a page; remembers tags closed out of order."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.misnested: list[str] = []
        self._open: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        for name in ("aria-labelledby", "aria-describedby"):
            self.references += (values.get(name) or "").split()
        if (values.get("href") or "").startswith("#"):
            self.references.append((values["href"] or "")[1:])
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.misnested.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.fixture(scope="module")
def page(house: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(collect(house.lake), tmp_path_factory.mktemp("report") / "report.html")


def test_same_content_gives_the_same_bytes(house, page, tmp_path) -> None:
    again = write_report(collect(house.lake), tmp_path / "again.html")
    assert again.read_bytes() == page.read_bytes()


def test_hostile_headlines_are_shown_as_text(page) -> None:
    outline = Outline(page)
    assert "script" not in outline.tags
    assert "img" not in outline.tags
    assert "</pre><script>document.title='owned'</script>" in outline.text
    assert "{{ 7 * 7 }}" in outline.text
    assert outline.misnested == []


def test_nothing_is_asked_for_from_outside(page) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\"'\s<)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}, "a namespace, never fetched"
    assert not re.search(r"@import|url\((?!#)|src=\"|srcset", text)
    assert "default-src 'none'" in text


def test_every_reference_has_its_target_and_ids_are_unique(page) -> None:
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.references
    assert set(outline.references) <= set(outline.ids)


def test_plots_and_tables_say_in_words_what_they_show(page) -> None:
    text = page.read_text(encoding="utf-8")
    drawings = re.findall(
        r'<svg [^>]*role="img"[^>]*><title[^>]*>([^<]+)</title><desc[^>]*>([^<]+)', text
    )
    assert len(drawings) == text.count("<svg ") == 12
    assert all(title and description for title, description in drawings)
    assert text.count("<table>") == text.count("<caption>")
    assert "<h1" in text
    assert re.findall(r"<h([1-6])", text)[0] == "1"


def test_counts_balance_reasons_and_identity_are_the_warehouses(house, page) -> None:
    text = re.sub(r"\s+", " ", Outline(page).text)
    train = house.manifest.splits["train"]
    assert f"train {train.rows:,} {train.up:,} {train.down:,}" in text
    assert house.manifest.dataset_id in text
    assert "undated wire headline 2" in text
    assert "The headlines are synthetic." in text
    assert "the label's own tokens 0.731 0.654 the whole completion 1.810 0.660" in text
    for split in house.manifest.splits.values():
        assert all(file.sha256 in text for file in split.files)


def test_the_verdict_is_the_evaluations_and_flips_with_it(house, tmp_path) -> None:
    data = collect(house.lake)
    accuracy = house.lake.sql(
        "SELECT value FROM evaluations WHERE slice = 'all' AND predictor = 'fine_tuned' "
        "AND metric = 'accuracy' AND baseline IS NULL"
    )["value"][0].as_py()
    skilled = Outline(write_report(data, tmp_path / "skilled.html")).text
    assert "Better than every baseline" in skilled
    assert f"fine-tuned model called {100 * accuracy:.1f}%" in skilled
    assert data.verdicts[0].words in skilled

    beaten = replace(
        data.verdicts[0],
        skill=False,
        better_than=dict.fromkeys(data.verdicts[0].better_than, False),
        alarms=("collapse: 99.9% of the predictions say up",),
    )
    unskilled = Outline(write_report(replace(data, verdicts=(beaten,)), tmp_path / "no.html")).text
    assert "No skill shown" in unskilled
    assert "not shown to be better than: majority class, previous direction," in unskilled
    assert "Alarm.  Collapse: 99.9%" in unskilled

    remembered = Memory(Interval(0.7, 0.6, 0.8), Interval(0.1, 0.05, 0.15), 90)
    kept = replace(beaten, memory=remembered)
    withheld = Outline(write_report(replace(data, verdicts=(kept,)), tmp_path / "kept.html")).text
    assert "Withheld: skill follows memory" in withheld
    assert "+10.0 [+5.0, +15.0] points of accuracy go through" in withheld


def test_robustness_checks_are_shown_with_their_caveats(house, page) -> None:
    text = re.sub(r"\s+", " ", Outline(page).text)
    (calibrated,) = house.lake.sql(
        "SELECT value FROM evaluations WHERE split = 'test' AND predictor = 'fine_tuned' "
        "AND metric = 'cross_entropy_calibrated' AND baseline IS NULL"
    )["value"].to_pylist()
    assert f"→ {calibrated:.4f} nats" in text
    assert "Raw and calibrated on the test split" in text
    assert "names matter: part of the result may be memory" in text
    assert "Only the corrected p-values count" in text
    assert "this test could have shown a difference in accuracy of" in text
    assert "which it may remember" in text
    assert "What the base model remembers" in text
    assert "Recall of outcomes without news, as AUROC" in text
    assert "no memory found" in text
    assert "with a mean information coefficient of" in text
    assert "Calls with P(up) at least 0.200 from one half" in text
    assert "whose times are the publishers' own" in text
    assert "An illustration, no evidence." in text
    assert "Illustration: growth of 1 by the calls, at 5 basis points a side" in text
    folds = house.lake.sql(
        "SELECT slice, n_examples FROM evaluations WHERE split = 'walk_forward' "
        "AND predictor = 'majority' AND metric = 'accuracy' AND baseline IS NULL "
        "AND slice LIKE 'fold=%' ORDER BY ALL"
    ).to_pylist()
    assert [row["slice"] for row in folds] == ["fold=autumn", "fold=winter"]
    for row in folds:
        assert f"{row['slice'].partition('=')[2]} {row['n_examples']}" in text


def test_checks_that_were_not_made_are_not_shown(house, tmp_path) -> None:
    data = collect(house.lake)
    plain = (
        pa.compute.field("metric").isin(["accuracy", "predicted_up_share", "cross_entropy"])
        & pa.compute.field("baseline").is_null()
    )
    bare = replace(
        data,
        evaluations=data.evaluations.filter(plain),
        walked=data.walked.slice(0, 0),
        returns=data.returns.slice(0, 0),
        notes=(),
    )
    text = Outline(write_report(bare, tmp_path / "bare.html")).text
    for absent in ("Robustness checks", "Calibrated", "masked", "Walk-forward", "illustration"):
        assert absent not in text


def test_empty_warehouse_still_gives_a_page(lake, tmp_path) -> None:
    outline = Outline(write_report(collect(lake), tmp_path / "empty.html"))
    assert "Ingested, no data set yet" in outline.text
    assert "Nothing was quarantined." in outline.text
    assert outline.misnested == []


def test_unknown_data_set_is_named_with_what_to_do(house) -> None:
    with pytest.raises(ReportError, match=r"no data set 'nope'.*newsvane dataset build"):
        collect(house.lake, dataset_id="nope")


def test_a_manifest_of_another_version_is_named_with_what_to_do(lake) -> None:
    row = registered("old", (NOW, NOW)) | {"manifest": '{"dataset_id": "old"}'}
    append(lake, "datasets", [row])
    with pytest.raises(ReportError, match=r"manifest of data set old cannot be read: spec_id: .*"):
        collect(lake)


def test_a_retrained_model_replaces_its_predecessor_on_the_page(lake) -> None:
    def stored(model: str, accuracy: float, day: int) -> None:
        rows = columns({
            "slice": "all", "predictor": ["fine_tuned", "majority"], "metric": "accuracy",
            "baseline": pa.nulls(2, pa.string()), "value": [accuracy, 0.5],
            "ci_low": [accuracy - 0.1, 0.4], "ci_high": [accuracy + 0.1, 0.6],
            "n_examples": 10, "n_sessions": 5,
        })  # fmt: skip
        made = {"model_ids": {"fine_tuned": model}, "now": datetime(2024, 1, day, tzinfo=UTC)}
        store_evaluation(lake, rows, dataset_id="d", split="test", **made)

    stored("older", 0.9, 1)
    stored("newer", 0.4, 2)
    shown = lake.read("report_evaluations", {"dataset_id": "d"}).to_pylist()
    found = [(row["predictor"], row["model_id"], row["value"]) for row in shown]
    assert found == [("fine_tuned", "newer", 0.4), ("majority", None, 0.5)]
