"""A small data set whose headlines give the label away, and one model fine-tuned on it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.training.job import FinetuneJob, FinetuneResult
from tasks.training.process import run_job
from tasks.training.recipe import Recipe, load_recipe

TONE = {
    "up": ("record profit", "strong demand", "raised guidance", "upbeat outlook"),
    "down": ("surprise loss", "weak demand", "cut guidance", "gloomy outlook"),
}
SIZES = {"train": 320, "validation": 60, "test": 120}


def planted_rows(count: int, seed: int, agreement: float) -> dict[str, list[str]]:
    """Rows whose tone agrees with the label with the given probability."""
    draw = random.Random(seed)
    rows: dict[str, list[str]] = {"example_id": [], "input": [], "output": []}
    for number in range(count):
        label = draw.choice(("up", "down"))
        other = {"up": "down", "down": "up"}[label]
        tone = label if draw.random() < agreement else other
        lines = [
            f"- {draw.choice(TONE[tone])} for the company" for _ in range(draw.choice((1, 1, 2)))
        ]
        ticker = draw.choice(("AAPL", "MSFT", "IBM"))
        prompt = "\n".join([f"{ticker} news:", *lines, "Direction:"])
        rows["example_id"].append(f"{seed}-{number}")
        rows["input"].append(prompt)
        rows["output"].append(label)
    return rows


def write_dataset(folder: Path, agreement: float = 0.95) -> Path:
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate(SIZES.items()):
        pq.write_table(pa.table(planted_rows(count, seed, agreement)), folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="session")
def training_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="session")
def cache(training_root: Path) -> Path:
    return training_root / "cache"


@pytest.fixture(scope="session")
def dataset(training_root: Path) -> Path:
    return write_dataset(training_root / "planted")


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    return load_recipe("sandbox-tiny")


def with_changes(recipe: Recipe, **changes: dict[str, object]) -> Recipe:
    """The recipe with some keys of some sections changed, validated again."""
    content = recipe.model_dump()
    for section, keys in changes.items():
        content[section] = {**content[section], **keys}
    return Recipe.model_validate(content)


@pytest.fixture(scope="session")
def changed() -> Callable[..., Recipe]:
    return with_changes


@pytest.fixture(scope="session")
def job(training_root: Path, dataset: Path, cache: Path) -> Callable[..., FinetuneJob]:
    """A FinetuneJob on the planted data set, on one thread."""

    def build(recipe: Recipe, output: Path | None = None, **options: object) -> FinetuneJob:
        given = {"dataset": dataset, "output": output or training_root / "models", "threads": 1}
        return FinetuneJob(recipe=recipe, cache=cache, **given | options)

    return build


@dataclass(frozen=True)
class Finetuned:
    job: FinetuneJob
    result: FinetuneResult


@pytest.fixture(scope="session")
def finetuned(training_worker: None, job: Callable[..., FinetuneJob], tiny: Recipe) -> Finetuned:
    """The tiny model, fine-tuned in the training process, with its test scores."""
    tuning = job(tiny, score=("test",))
    return Finetuned(tuning, run_job(tuning))
