"""The lesson must say what the real model, the project's code and the sandbox say."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tasks.training.recipe import load_recipe
from tests.builders.command_line import REPOSITORY

FOLDER = REPOSITORY / "docs" / "explanation" / "how-a-language-model-learns"
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w]|\.\d)")
ABSOLUTE, RELATIVE = 0.02, 0.03
"""How far a number with decimals may be from the printed one: other processors round otherwise,
and twelve training steps amplify it. Words and whole numbers must be the same."""


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """The program that runs the page."""
    spec = importlib.util.spec_from_file_location("make_lesson", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_lesson"] = module  # where its dataclass looks for its annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cells(make: ModuleType) -> list[Any]:
    return list(make.cells(make.PAGE.read_text("utf-8")))


@dataclass(frozen=True)
class Run:
    """The lesson as it ran here: its cells, and the names they left."""

    cells: list[Any]
    names: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def ran(make: ModuleType, cells: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The lesson run in a copy of its folder, on the shipped configuration."""
    pytest.importorskip("transformers", reason="the extra `train` is not installed")
    root = tmp_path_factory.mktemp("lesson")
    shutil.copy(REPOSITORY / "newsvane.toml", root)
    copy = root / "docs" / "explanation" / FOLDER.name
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("*.svg", "__pycache__"))
    before = dict(os.environ)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("NEWSVANE_PROFILE", raising=False)
            patch.setattr(sys, "path", [*sys.path])
            patch.chdir(copy.parent)
            done, names = make.run(cells)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Run(done, names, copy)


def differences(printed: str, now: str) -> list[str]:
    """Where two outputs disagree by more than the tolerance."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", now).split():
        return [f"{printed!r} became {now!r}"]
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(now), strict=True)
    return [f"{old} became {new}" for old, new in pairs if not same(old, new)]


def same(old: str, new: str) -> bool:
    if "." not in old:
        return old == new
    values = (float(text.replace(",", "")) for text in (old, new))
    return math.isclose(*values, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def prose(cells: list[Any]) -> str:
    """What is said between the blocks, without headings, code and addresses."""
    text = "\n\n".join(cell.text for cell in cells if not cell.is_code)
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
    text = re.sub(r"(?m)^#.*$|`[^`\n]*`", "", text)
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)


def test_the_notebook_is_the_page(make: ModuleType, cells: list[Any]) -> None:
    assert make.page_of(cells) == make.PAGE.read_text("utf-8")
    assert make.notebook_of(cells) == make.NOTEBOOK.read_text("utf-8"), "run make.py --as-printed"
    assert json.loads(make.NOTEBOOK.read_text("utf-8"))["nbformat"] == 4


def test_no_term_is_used_before_it_is_explained(cells: list[Any]) -> None:
    text = prose(cells)
    terms = [term for term in re.findall(r"\*\*([^*]+)\*\*", text) if term[-1] not in ".?"]
    assert len(terms) > 30
    for term in terms:
        stem = re.escape(re.sub(r"(?:ies|(?<!s)s)$", "", term))
        first = re.search(rf"(?i)(?<!\w){stem}", text)
        assert first is not None
        said = text[: first.start()].endswith("**")
        assert said, f"{term}: …{text[max(0, first.start() - 60) : first.end()]}"


def test_every_decimal_in_the_prose_was_printed(cells: list[Any]) -> None:
    printed = set(NUMBER.findall("\n".join(cell.output for cell in cells)))
    tutorial = (REPOSITORY / "docs" / "tutorial" / "cpu.md").read_text("utf-8")
    printed |= set(NUMBER.findall(tutorial))
    without_papers = re.sub(r"arXiv:\S+", "", prose(cells))
    said = {number for number in NUMBER.findall(without_papers) if "." in number}
    assert len(said) > 10
    assert said <= printed, said - printed


def test_a_number_that_moved_would_be_noticed() -> None:
    assert not differences("loss 0.500, 12 steps", "loss 0.510, 12 steps")
    assert differences("loss 0.500, 12 steps", "loss 0.560, 12 steps")
    assert differences("loss 0.500, 12 steps", "loss 0.500, 13 steps")
    assert differences("equal: True", "equal: False")


def test_pictures_are_there_and_small(cells: list[Any]) -> None:
    text = "\n".join(cell.text for cell in cells if not cell.is_code)
    shown = set(re.findall(rf"\]\({FOLDER.name}/(\S+\.svg)\)", text))
    there = {path.name: path.stat().st_size for path in FOLDER.glob("*.svg")}
    assert shown == set(there)
    assert len(shown) >= 4
    assert sum(there.values()) < 200_000


def test_rows_are_those_of_the_sandbox() -> None:
    """The excerpt's headlines are the newswire's, its labels the bars', its wording the spec's."""
    from flows.settings import load_settings
    from sandbox.market import bokeh_market
    from sandbox.newswire import NewsSpec, headlines

    settings = load_settings(REPOSITORY / "newsvane.toml", "sandbox")
    vendor, render = settings.sandbox, settings.dataset.render
    assert vendor is not None
    news = NewsSpec(
        seed=vendor.seed, mode=vendor.news, strength=vendor.strength, coverage=vendor.coverage
    )
    market = bokeh_market()
    said = headlines(market, news).select(["ticker", "title"]).to_pylist()
    known = {(row["ticker"], row["title"]) for row in said}
    lines = [text for path in FOLDER.glob("*.jsonl") for text in path.read_text().splitlines()]
    assert len(lines) == 96 + 24
    for row in map(json.loads, lines):
        ticker, session = row["meta"]["ticker"], np.datetime64(row["meta"]["session"])
        titles = [line[2:] for line in row["input"].splitlines()[1:-1]]
        assert {(ticker, title) for title in titles} <= known
        shown = render.separator.join(render.headline_template.format(title=t) for t in titles)
        assert row["input"] == render.template.format(ticker=ticker, headlines=shown)
        history = market.history(ticker)
        (day,) = np.flatnonzero(history.sessions == session)
        assert row["output"] == ("up" if history.close[day] > history.open[day] else "down")


@pytest.mark.slow
def test_the_page_prints_what_its_code_prints(cells: list[Any], ran: Run) -> None:
    for old, new in zip(cells, ran.cells, strict=True):
        assert not differences(old.output, new.output), new.text
    drawn = {path.name for path in ran.folder.glob("*.svg")}
    assert drawn == {path.name for path in FOLDER.glob("*.svg")}


@pytest.mark.slow
def test_by_hand_is_by_the_project(ran: Run) -> None:
    from tasks.training.plan import adapter_parameters

    names = ran.names
    assert names["p_up"] == pytest.approx(names["scores"].p_up[0], abs=1e-5)
    assert names["loss_by_hand"] == pytest.approx(names["loss_by_torch"], abs=1e-5)
    assert names["pair_loss"] == pytest.approx(names["scores"].pair_ce(np.array([False])), abs=1e-5)
    assert (names["by_hand"] - names["by_model"]).abs().max().item() < 1e-5
    gradient = names["gradients"][names["chosen"]].item()
    assert names["by_pushing"] == pytest.approx(gradient, rel=0.02)
    assert names["trained"] == names["by_count"] == adapter_parameters(load_recipe("smollm2-135m"))
    rest = names["merged"] - names["original"] - names["change"]
    assert rest.abs().max().item() < 1e-6
    assert names["change"].abs().max().item() > 1e-4, "nothing was learned"


@pytest.mark.slow
def test_only_the_answer_has_a_loss(ran: Run) -> None:
    names = ran.names
    answers = {names["up"], names["down"]}
    assert len(names["ready"]) == 96
    for example in [names["made"], *names["ready"]]:
        *given, label, end = example["targets"]
        assert set(given) == {-100}
        assert label in answers
        assert end == names["tokenizer"].eos_token_id


@pytest.mark.slow
def test_training_lowers_the_loss_and_not_yet_the_one_that_counts(ran: Run) -> None:
    history, start, end = (ran.names[name] for name in ("history", "start", "end"))
    assert max(history[-3:]) < min(history[:3]) / 2
    assert end["label_ce"] < start["label_ce"] / 2
    assert end["pair_ce"] > math.log(2), "the page says that a coin does better"
