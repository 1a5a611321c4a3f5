"""Replication flow: a public benchmark by the literature's protocol, its methods trained here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from flows.connections import training_process
from flows.platform.display import current_sink, report_progress
from flows.platform.runtime import Described, configured_flow
from flows.settings import Settings
from tasks.dataset.literature.features import windows
from tasks.dataset.literature.files import Archive, read_archive
from tasks.dataset.literature.protocol import benchmark
from tasks.dataset.literature.rows import Rows, build_rows
from tasks.dataset.spec.render import RenderSpec
from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.classical import logistic_regression, random_forest
from tasks.evaluation.metrics import Floats
from tasks.evaluation.published import PUBLISHED
from tasks.evaluation.replication import (
    Comparison,
    Predictions,
    Replicated,
    compared_with,
    in_words,
    replicated,
)
from tasks.evaluation.spec import MAJORITY, TFIDF_LOGISTIC
from tasks.training.job import FinetuneJob
from tasks.training.process import run_job
from tasks.training.recipe import Recipe, load_recipe
from warehouse.storage.atomic import write_bytes, write_text

HISTORY = 10
"""Sessions of prices that the longest of the networks reads."""
FLAT_HISTORY = 5
"""Sessions of prices in the classical classifiers' input."""
SMALL = {"prompt": {"max_tokens": 32}, "schedule": {"train_rows": 160, "validation_rows": 64}}
"""What a recipe is cut to here, so that five seeds fit two cores."""
ONE_MESSAGE = RenderSpec(max_headlines=1)

Windows = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Replication:
    """What a replication found: rows by split, the methods, what was published beside them."""

    benchmark: str
    splits: Mapping[str, tuple[int, int]]
    results: tuple[Replicated, ...]
    comparisons: tuple[Comparison, ...]
    words: tuple[str, ...]
    folder: Path


@configured_flow("replicate", hours=6)
def replicate(
    settings: Settings,
    name: Annotated[str, Described("stocknet, bigdata22 or cikm18.")],
    data: Annotated[Path, Described("The folder with the benchmark's files.")],
    seeds: Annotated[int, Field(ge=1, le=50)] = 5,
    workers: Annotated[int, Field(ge=1, le=64), Described("Networks trained at once.")] = 2,
    recipe: Annotated[
        str | None, Described("Recipe of the language model. Empty: none is trained.")
    ] = None,
) -> Replication:
    """Build the benchmark's rows, train every method over the seeds, say what was replicated.

    Rows and predictions go below `replications/NAME` of the data root; the warehouse is not
    touched. Raises LiteratureError for files that cannot be used.
    """
    rule = benchmark(name)
    archive = read_archive(data, rule)
    rows = build_rows(archive, rule, ONE_MESSAGE)
    folder = settings.data_root / "replications" / name
    for split, part in rows.items():
        _write(folder / "rows" / f"{split}.parquet", part.table)
    numbers = range(seeds)
    prices = {split: _windows(archive, part) for split, part in rows.items()}
    predictions = {
        **_classical(rows, prices, numbers),
        **_networks(rows, prices, numbers, workers),
        **(_language(settings, folder, recipe, numbers) if recipe else {}),
    }
    test = rows["test"].table
    _write(folder / "predictions.parquet", _predictions(test, predictions))
    results = replicated(test, predictions, settings.evaluation)
    comparisons = compared_with(results, PUBLISHED.of(name))
    splits = {split: (len(part.at), _ups(part)) for split, part in rows.items()}
    words = (*archive.notes, *in_words(test, results, comparisons, PUBLISHED.of(name)))
    write_text(folder / "result.md", "\n".join(f"- {line}" for line in words) + "\n")
    return Replication(name, splits, tuple(results), tuple(comparisons), words, folder)


def _classical(
    rows: Mapping[str, Rows], prices: Mapping[str, Windows], seeds: Iterable[int]
) -> dict[str, list[Floats]]:
    train, test = rows["train"].table, rows["test"].table
    label, sink = train["label_up"].to_numpy(), current_sink()
    near = {split: values[:, -FLAT_HISTORY:] for split, values in prices.items()}
    texts = train.select(["label_up"]).append_column("input", train["text"])
    baselines = fit_baselines(texts).predict(pa.table({"input": test["text"]}))
    sink.advance("classical methods", 1, 3, "TF-IDF")
    logistic = logistic_regression(near["train"], label, near["test"])
    sink.advance("classical methods", 2, 3, "logistic regression")
    forests = [random_forest(near["train"], label, near["test"], seed) for seed in seeds]
    sink.advance("classical methods", 3, 3, "random forest")
    # Three of these have no randomness: one fit stands for every seed.
    return {
        "majority": [baselines[MAJORITY]],
        "TF-IDF + logistic regression": [baselines[TFIDF_LOGISTIC]],
        "logistic regression": [logistic],
        "random forest": forests,
    }


def _networks(
    rows: Mapping[str, Rows], prices: Mapping[str, Windows], seeds: Iterable[int], workers: int
) -> dict[str, list[Floats]]:
    from tasks.training.price_networks import NETWORKS, Samples, p_up_of_seeds

    train, validation, test = (
        Samples(prices[split], part.table["label_up"].to_numpy()) for split, part in rows.items()
    )
    sink = current_sink()
    return p_up_of_seeds(
        NETWORKS,
        seeds,
        (train, validation, test),
        workers=workers,
        on_done=lambda done, total, what: sink.advance("price networks", done, total, what),
    )


def _language(
    settings: Settings, folder: Path, recipe: str, seeds: Iterable[int]
) -> dict[str, list[Floats]]:
    """The recipe, cut to SMALL, fine-tuned with each seed; what was done before is found."""
    small, found = small_recipe(recipe), []
    with training_process(settings):
        for seed in seeds:
            job = FinetuneJob(
                recipe=small,
                dataset=folder / "rows",
                output=folder / "models",
                cache=settings.training.cache,
                seed=seed,
            )
            tuned = run_job(job, report_progress)
            scores = run_job(job.score_job("test", tuned.path), report_progress)
            found.append(pq.read_table(scores.path)["p_up"].to_numpy())
    return {f"{small.name}, LoRA": found}


def small_recipe(name: str) -> Recipe:
    """The recipe with the keys of SMALL in place of its own."""
    recipe = load_recipe(name)
    content = recipe.model_dump()
    for section, keys in SMALL.items():
        content[section] = {**content[section], **keys}
    return Recipe.model_validate(content)


def _windows(archive: Archive, rows: Rows) -> Windows:
    values, _ = windows(archive.ticker, archive.features, rows.at, HISTORY)
    return values


def _ups(rows: Rows) -> int:
    return int(np.count_nonzero(rows.table["label_up"].to_numpy()))


def _predictions(test: pa.Table, predictions: Predictions) -> pa.Table:
    """ticker, session, label_up, and a column of P(up) per method and seed."""
    table = test.select(["ticker", "session", "label_up"])
    for method, seeds in predictions.items():
        for number, p_up in enumerate(seeds):
            table = table.append_column(f"{method}, seed {number}", pa.array(p_up))
    return table


def _write(path: Path, table: pa.Table) -> None:
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue().to_pybytes())
