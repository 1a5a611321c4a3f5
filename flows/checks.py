"""The canaries, tried on the real pipeline in a warehouse of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of, training_process
from flows.dataset import build_dataset
from flows.ingest import ingest
from flows.platform.display import current_sink, report_progress
from flows.platform.runtime import configured_flow
from flows.settings import ConfigSelection, Settings, load_settings
from sandbox.mortality import drawn_deaths
from sandbox.spec import Death
from tasks.checks.canaries import (
    Bench,
    Market,
    SelftestReport,
    Survivorship,
    audit_survivors,
    plant_column,
    plant_future,
)
from tasks.checks.canaries import selftest as try_canaries
from tasks.dataset.build import refresh_examples
from tasks.prediction.predictors import FinetunedTextModel, tfidf_text_model
from tasks.training.recipe import Recipe, load_recipe
from warehouse.lake import Lake
from warehouse.storage.atomic import write_text
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame

MORTALS = tuple(f"SB{letter}" for letter in "ABCDEFGHI")
MORTAL_DAYS = 365
"""Who lives in the market of which a third dies, and for how many calendar days it is watched."""

TRAIN_ROWS, VALIDATION_ROWS, BATCH_SIZE = 256, 32, 8
"""Enough for a pre-trained model to hear the planted tone, and minutes instead of an hour."""

QUICK_RECIPE = "sandbox-tiny"


@configured_flow("selftest")
def selftest(settings: Settings, quick: bool = False) -> SelftestReport:
    """Ingest a null and a planted market, fine-tune on each, and try every canary.

    Everything happens below `selftest/` of the data root, on the sandbox vendor; the report is
    written there too. The configured recipe is shown a few hundred rows. When `quick`, the
    reference text model (TF-IDF) reads plainer news in its place, and only the base scores are
    those of a language model, of random weights.
    """
    sink = current_sink()
    folder = settings.data_root / "selftest"
    try_on = _RealPipeline(settings, _plainer(settings) if quick else ())
    model = FinetunedTextModel(
        _affordable(load_recipe(QUICK_RECIPE if quick else settings.training.recipe)),
        folder=folder,
        cache=settings.training.cache,
        seed=settings.training.seed,
        on_progress=report_progress,
    )

    def quick_base_scores() -> tuple[Any, Any]:
        train, test = try_on.examples("planted")
        model(train, [test])
        return model.base_scores()

    bench = Bench(
        examples=try_on.examples,
        learn=tfidf_text_model if quick else model,
        base_scores=quick_base_scores if quick else model.base_scores,
        plant_future=try_on.plant_future,
        plant_column=try_on.plant_column,
        survivors=try_on.survivors,
    )
    with training_process(settings):
        report = try_canaries(
            bench, settings.evaluation, lambda name: sink.advance("canaries", 0, None, name)
        )
    write_text(folder / "report.md", report.markdown())
    create_markdown_artifact(report.markdown(), key="selftest", description="Canaries")
    return report


def _plainer(settings: Settings) -> tuple[str, ...]:
    """Settings of a market that word counts can read: an unfailing tone, a year more of news.

    What is chosen on the command line goes before them.
    """
    start = settings.history.headlines_start - timedelta(days=365)
    return (
        "sandbox.strength=1.0",
        f"history.headlines_start={start}",
        f"dataset.split.start={start}",
    )


def _mortal(root: Path, deaths: Sequence[Death], start: date) -> tuple[str, ...]:
    """Settings of a market in which names die, all of them members until they do.

    Where Yahoo has forgotten one, another vendor has its bars; one that is renamed has an alias.
    """
    ends = {death.ticker: death.on for death in deaths}
    lines = [f"{ticker},{start},{ends.get(ticker, '')}" for ticker in MORTALS]
    renamed = [
        f"{death.successor},XNYS,{death.ticker},former_symbol,{death.on},"
        for death in deaths
        if death.successor is not None
    ]
    root.mkdir(parents=True, exist_ok=True)
    write_text(root / "members.csv", "\n".join(["ticker,from,to", *lines, ""]))
    heading = "ticker,exchange,alias,kind,valid_from,valid_to"
    write_text(root / "aliases.csv", "\n".join([heading, *renamed, ""]))
    dying = ", ".join(death.as_toml() for death in deaths)
    return (
        f"universe.index={json.dumps(str(root / 'members.csv'))}",
        f"universe.aliases={json.dumps(str(root / 'aliases.csv'))}",
        'prices.vendors=["yahoo", "stooq"]',
        f"sandbox.deaths=[{dying}]",
        "sandbox.market=universe",
        "sandbox.news=null",
        "prices.basis=fetch",
        f"history.prices_start={start}",
        f"history.headlines_start={start}",
    )


def _affordable(recipe: Recipe) -> Recipe:
    """The recipe on fewer rows in smaller batches, where its own are more."""
    own = recipe.schedule
    fewer = {
        "train_rows": min(TRAIN_ROWS, own.train_rows or TRAIN_ROWS),
        "validation_rows": min(VALIDATION_ROWS, own.validation_rows or VALIDATION_ROWS),
        "batch_size": min(BATCH_SIZE, own.batch_size),
    }
    return recipe.model_copy(update={"schedule": own.model_copy(update=fewer)})


@dataclass(frozen=True, slots=True)
class _RealPipeline:
    """Answers the bench's questions by running the flows on two markets."""

    settings: Settings
    defaults: tuple[str, ...] = ()

    def examples(self, market: Market) -> tuple[pa.Table, pa.Table]:
        """Training and test examples after a real ingest and build of that market."""
        chosen, settings = self._market(market)
        end = settings.history.end or clock_of(settings)().date()
        ingest(chosen, settings.history.headlines_start, end)
        manifest = build_dataset(chosen)
        folder = settings.data_root / "datasets" / manifest.dataset_id
        with Lake.open(settings.warehouse) as lake:
            train, test = (
                evaluation_frame(
                    lake, manifest.spec_id, load_split(folder / f"{split}.parquet")["example_id"]
                )
                for split in ("train", "test")
            )
        return train, test

    def plant_future(self, marker: str) -> tuple[Sequence[str], Sequence[str]]:
        """Publish a headline one second after a decision; the inputs decided before, and after."""
        _, settings = self._market("planted")
        with Lake.open(settings.warehouse) as lake:
            return plant_future(lake, settings.dataset, marker, now=clock_of(settings)())

    def plant_column(self, marker: str) -> tuple[Sequence[str], Sequence[str]]:
        """Publish a value known a second after a decision; the inputs decided before, and after."""
        _, settings = self._market("planted")
        with Lake.open(settings.warehouse) as lake:
            return plant_column(lake, settings.dataset, marker, now=clock_of(settings)())

    def survivors(self) -> Survivorship:
        """A year of a made-up market of which a third dies, ingested, built and audited."""
        now = clock_of(self.settings)()
        start, end = now.date() - timedelta(days=MORTAL_DAYS), now.date()
        quarter = timedelta(days=MORTAL_DAYS // 4)
        deaths = drawn_deaths(MORTALS, 1 / 3, start + quarter, end - quarter)
        root = self.settings.data_root.resolve() / "selftest" / "mortal"
        chosen, settings = self._chosen(root, *_mortal(root, deaths, start))
        ingest(chosen, start, end)
        with Lake.open(settings.warehouse) as lake:
            refresh_examples(lake, settings.dataset, now=now)
            return audit_survivors(lake, settings.dataset)

    def _market(self, market: Market) -> tuple[ConfigSelection, Settings]:
        root = self.settings.data_root.resolve() / "selftest" / market
        return self._chosen(root, f"sandbox.news={market}")

    def _chosen(self, root: Path, *words: str) -> tuple[ConfigSelection, Settings]:
        own = (
            f"data_root={root}",
            f"training.cache={self.settings.training.cache.resolve()}",
            *words,
        )
        selection = self.settings.selection
        overrides = (*self.defaults, *selection.overrides, *own)
        chosen = selection.model_copy(update={"overrides": overrides})
        return chosen, load_settings(chosen.config, chosen.profile, chosen.overrides)
