"""A trial that takes the place of the data set in use, of its name, or of its report."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

import newsvane
from flows.connections import NoDatasetError, find_dataset
from flows.settings import Settings, load_settings
from tasks.dataset.build import assemble_dataset
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.report.page.collect import collect, dataset_rows
from tasks.report.page.page import write_index, write_report
from tests.builders.command_line import Newsvane
from tests.builders.warehouse import Filler
from warehouse.lake import Lake

BUILT = datetime(2020, 1, 2, tzinfo=UTC)
WEEK = [date(2019, 3, day) for day in (4, 5, 6, 7, 8)]
TRIAL = "dataset.label.horizon=2"


def configured(root: Path, *overrides: str) -> Settings:
    return load_settings(profile="live", overrides=[f"data_root={root}", *overrides])


@pytest.fixture
def built(
    tmp_path: Path, filler_of: type[Filler], ny: Callable[..., datetime]
) -> tuple[Settings, str, str]:
    """A data set as configured, called `main`, and a later trial called `trial`."""
    settings = configured(tmp_path / "data", "dataset.name=main")
    with Lake.open(settings.warehouse) as lake:
        fill = filler_of(lake)
        fill.bars("AAA", [(day, 100.0, 101.0 + at) for at, day in enumerate(WEEK)])
        fill.news("AAA", [(ny(2019, 3, day, 6, 0), f"story {day}") for day in (4, 5, 6, 7, 8)])
        ids = []
        for at, overrides in enumerate(((), (TRIAL, "dataset.name=trial"))):
            spec = configured(settings.data_root, "dataset.name=main", *overrides).dataset
            now = BUILT + timedelta(hours=at)
            root = settings.data_root / "datasets"
            ids.append(assemble_dataset(lake, spec, root, now=now).dataset_id)
    return settings, *ids


def test_a_trial_does_not_take_the_place_of_the_configured_data_set(
    built: tuple[Settings, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    settings, main, trial = built
    assert main != trial
    assert find_dataset(settings, None).dataset_id == main
    assert find_dataset(configured(settings.data_root, TRIAL), None).dataset_id == trial
    assert "is built as configured" not in caplog.text
    other = configured(settings.data_root, "dataset.label.horizon=3")
    assert find_dataset(other, None).dataset_id == trial
    assert "No data set is built as configured" in caplog.text


def test_a_data_set_is_found_by_its_name_by_every_reader(
    built: tuple[Settings, str, str], newsvane: Newsvane
) -> None:
    settings, main, trial = built
    for wanted, found in (("main", main), ("trial", trial), (main, main), (trial[:9], trial)):
        assert find_dataset(settings, wanted).dataset_id == found
    with pytest.raises(NoDatasetError, match="newsvane dataset list"):
        find_dataset(settings, "mai")
    shown = newsvane("--profile", "live", "dataset", "show", "main", "--json")
    assert shown.returncode == 0, shown.stderr
    listed = newsvane("--profile", "live", "dataset", "list", "--csv").stdout.splitlines()
    assert [line.split(",")[:2] for line in listed[1:]] == [[trial, "trial"], [main, "main"]]


def test_the_name_goes_to_the_last_data_set_built_under_it(
    built: tuple[Settings, str, str],
) -> None:
    settings, main, trial = built
    spec = configured(settings.data_root, TRIAL, "dataset.name=main").dataset
    with Lake.open(settings.warehouse) as lake:
        before = lake.snapshot_id()
        again = assemble_dataset(lake, spec, settings.data_root / "datasets", now=BUILT)
        assert again.dataset_id == trial, "a name is no part of the identity"
        renamed = lake.snapshot_id()
        assert renamed > before
        assemble_dataset(lake, spec, settings.data_root / "datasets", now=BUILT)
        assert lake.snapshot_id() == renamed, "naming it again writes nothing"
        assert {row["names"] for row in dataset_rows(lake)} == {"main, trial", None}
    assert find_dataset(settings, "main").dataset_id == trial
    assert find_dataset(settings, None).dataset_id == main
    with newsvane.connect(settings.data_root) as reader:
        assert reader.dataset("main").dataset_id == trial


@pytest.mark.parametrize("name", ["abc123", "", "Main", "a/b", "x" * 41])
def test_no_name_can_be_taken_for_an_id_or_a_path(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        DatasetSpec(name=name)


def test_each_data_set_keeps_its_report(built: tuple[Settings, str, str]) -> None:
    settings, main, trial = built
    folder = settings.data_root / "report"
    with Lake.open(settings.warehouse) as lake:
        kept = write_report(collect(lake, dataset_id=main), folder / f"{main}.html").read_bytes()
        index = write_index(lake, folder).read_text("utf-8")
        assert re.findall(r'href="(\w+\.html)"', index) == [f"{main}.html"]
        assert "none written" in index
        write_report(collect(lake, dataset_id=trial), folder / f"{trial}.html")
        index = write_index(lake, folder).read_text("utf-8")
    assert re.findall(r'href="(\w+\.html)"', index) == [f"{trial}.html", f"{main}.html"]
    assert (folder / f"{main}.html").read_bytes() == kept
