"""The canaries, tried on the real pipeline in a warehouse of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of
from flows.dataset import build_dataset, find_dataset
from flows.finetune import finetune_job, report_progress
from flows.ingest import ingest
from flows.progress import current_sink
from flows.settings import ConfigSelection, Settings, load_settings
from tasks.assembly import refresh_examples
from tasks.learners import FinetunedLearner
from tasks.selftest import Bench, Market, SelftestReport
from tasks.selftest import selftest as try_canaries
from tasks.sources.batches import HEADLINE_TICKERS, HEADLINES, PARTITIONS, REJECTS
from tasks.training.job import ScoreJob
from tasks.training.process import run_job
from tasks.training.recipe import load_recipe
from warehouse.dataset_files import load_split
from warehouse.evaluations import evaluation_frame
from warehouse.lake import Lake
from warehouse.publish_headlines import publish_headlines


@flow(name="selftest")
def selftest(selection: ConfigSelection) -> SelftestReport:
    """Ingest a null and a planted market, fine-tune on each, and try every canary.

    Everything happens below `selftest/` of the data root, on the sandbox vendor; the report is
    written there too.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    sink = current_sink()
    try_on = _RealPipeline(settings, selection)
    recipe = load_recipe(settings.training.recipe)
    folder = settings.data_root / "selftest"
    bench = Bench(
        examples=try_on.examples,
        learn=FinetunedLearner(
            recipe,
            folder=folder,
            cache=settings.training.cache,
            seed=settings.training.seed,
            on_progress=report_progress,
        ),
        base_scores=try_on.base_scores,
        plant_future=try_on.plant_future,
    )
    report = try_canaries(
        bench, settings.evaluation, lambda name: sink.advance("canaries", 0, None, name)
    )
    (folder / "report.md").write_text(report.markdown(), encoding="utf-8")
    create_markdown_artifact(report.markdown(), key="selftest", description="Canaries")
    return report


@dataclass(frozen=True, slots=True)
class _RealPipeline:
    """Answers the bench's questions by running the flows on two markets."""

    settings: Settings
    selection: ConfigSelection

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

    def base_scores(self) -> tuple[Any, Any]:
        """P(up) of the base model, before an adapter is attached and after it is put aside."""
        _, settings = self._market("planted")
        manifest = find_dataset(settings, None)
        order = finetune_job(settings, manifest.dataset_id)
        adapter = run_job(order, report_progress).path
        plain = ScoreJob(
            recipe=order.recipe,
            dataset=order.dataset,
            output=settings.data_root / "scores",
            cache=order.cache,
            split="test",
        )
        aside = plain.model_copy(update={"adapter": adapter, "set_aside": True})
        before, after = (
            pq.read_table(run_job(job, report_progress).path)["p_up"].to_numpy()
            for job in (plain, aside)
        )
        return before, after

    def plant_future(self, marker: str) -> tuple[Sequence[str], Sequence[str]]:
        """Publish a headline one second after a decision; the inputs decided before, and after."""
        _, settings = self._market("planted")
        spec_id = settings.dataset.spec_id
        with Lake.open(settings.warehouse) as lake:
            known = lake.read("marts/examples_decided", {"spec_id": spec_id}).to_pylist()
            chosen = known[len(known) // 2]
            moment = chosen["decision_ts"] + timedelta(seconds=1)
            planted = {
                "headline_id": f"canary-{marker}",
                "source": "canary",
                "title": f"{chosen['ticker']} {marker}",
                "summary": None,
                "url": None,
                "guid": None,
                "published_at": moment,
                "first_seen_at": moment,
                "available_at": moment,
                "availability": "observed",
                "synthetic": True,
                "payload_id": "canary",
            }
            about = {
                "headline_id": planted["headline_id"],
                "ticker": chosen["ticker"],
                "method": "declared",
            }
            now = clock_of(settings)()
            publish_headlines(
                lake,
                headlines=pa.Table.from_pylist([planted], schema=HEADLINES),
                headline_tickers=pa.Table.from_pylist([about], schema=HEADLINE_TICKERS),
                rejects=REJECTS.empty_table(),
                payloads=(),
                partitions=PARTITIONS.empty_table(),
                now=now,
            )
            refresh_examples(lake, settings.dataset, now=now)
            after = lake.read("marts/examples_decided", {"spec_id": spec_id}).to_pylist()
        mine = [row for row in after if row["ticker"] == chosen["ticker"]]
        return (
            [row["input"] for row in mine if row["decision_ts"] < moment],
            [row["input"] for row in mine if row["decision_ts"] >= moment],
        )

    def _market(self, market: Market) -> tuple[ConfigSelection, Settings]:
        root = self.settings.data_root.resolve() / "selftest" / market
        own = (
            f"data_root={root}",
            f"training.cache={self.settings.training.cache.resolve()}",
            f"sandbox.news={market}",
        )
        overrides = (*self.selection.overrides, *own)
        chosen = self.selection.model_copy(update={"overrides": overrides})
        return chosen, load_settings(chosen.config, chosen.profile, chosen.overrides)
