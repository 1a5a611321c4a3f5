"""Connections of a flow, as configured: clock, data sets, and vendors, real or on loopback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flows.platform.display import report_progress
from flows.platform.secret_blocks import secret_of_block
from flows.settings import Settings
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.prediction.predictors import Scorer
from tasks.training.job import FinetuneJob
from tasks.training.process import persistent_worker
from tasks.training.recipe import load_recipe
from warehouse.lake import Lake
from warehouse.tables.batches import Clock
from warehouse.tables.datasets import fitting_datasets

if TYPE_CHECKING:
    from tasks.checks.witness.spec import Witness
    from tasks.ingest.http.client import FeedClient
    from tasks.ingest.http.hosts import Hosts
    from tasks.ingest.prices.vendor import PriceVendor

_LOG = logging.getLogger(__name__)


class NoDatasetError(RuntimeError):
    """There is no such data set; the message says how to make one."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The injected clock and transports of one run.

    `vendors` are those of prices besides Yahoo by their sources, each with a budget of its own.
    `hosts` says who answers and who was given up.
    """

    clock: Clock
    yahoo: Any
    feeds: FeedClient
    synthetic: bool
    hosts: Hosts
    vendors: Mapping[str, PriceVendor] = field(default_factory=dict)


def clock_of(settings: Settings) -> Clock:
    """The clock of this configuration: the sandbox's fixed moment, or the machine's, in UTC."""
    if settings.sandbox is not None:
        moment = settings.sandbox.now.astimezone(UTC)
        return lambda: moment
    return lambda: datetime.now(UTC)


def archive_clock(settings: Settings, newest: date | None) -> Clock:
    """The clock an archive is imported by, whose last day is `newest`.

    It is that of the configuration; a sandbox's stands still in the past, and an archive of the
    world outside that reaches beyond it is judged by the machine's.
    """
    usual = clock_of(settings)
    if settings.sandbox is None or newest is None or newest <= usual().date() + timedelta(days=1):
        return usual
    moment = max(usual(), datetime.now(UTC))
    return lambda: moment


def find_dataset(settings: Settings, dataset_id: str | None) -> DatasetManifest:
    """The manifest of one data set, by its id, its name, or a beginning that fits no other id.

    None means the newest of the configured specification; where there is none, the newest of all.
    Raises NoDatasetError.
    """
    with Lake.open(settings.warehouse) as lake:
        rows, ambiguous = fitting_datasets(lake, dataset_id or None, settings.dataset.digest)
    if not rows:
        wanted = f"data set {dataset_id!r}" if dataset_id else "any data set"
        raise NoDatasetError(
            f"The warehouse does not know {wanted}. Build one with `newsvane dataset build`; "
            "`newsvane dataset list` shows those there are."
        )
    if dataset_id is None and rows[0]["fit"]:
        _LOG.warning(
            "No data set is built as configured; the newest of the others is used. "
            "`newsvane dataset build` makes one, --dataset chooses among those there are."
        )
    if ambiguous:
        fitting = ", ".join(row["dataset_id"] for row in rows[:5])
        raise NoDatasetError(
            f"{len(rows)} data sets begin with {dataset_id!r}: {fitting}. Give more of the id."
        )
    return DatasetManifest.model_validate(json.loads(rows[0]["manifest"]))


def finetune_job(settings: Settings, dataset_id: str) -> FinetuneJob:
    """The configured recipe on one data set; what an evaluation needs is scored in that process.

    The scores go where an evaluation looks for them, so that nothing is scored twice.
    """
    return FinetuneJob(
        recipe=load_recipe(settings.training.recipe),
        dataset=settings.data_root / "datasets" / dataset_id,
        output=settings.data_root / "models",
        cache=settings.training.cache,
        seed=settings.training.seed,
        score=("validation", "test"),
        scores=settings.data_root / "scores",
    )


def witnesses_of(settings: Settings) -> dict[str, Witness]:
    """The configured witnesses by name. Raises WitnessError when there is none."""
    from tasks.checks.witness.spec import WitnessError
    from tasks.checks.witness.witnesses import witness_of

    if not settings.witness:
        raise WitnessError(
            "No witness is configured; expected a table such as [witness.offsite] with kind and "
            "url. Nothing was deposited or compared."
        )
    return {
        name: witness_of(name, spec, settings.data_root, secret_of_block)
        for name, spec in settings.witness.items()
    }


def scorer_of(settings: Settings) -> Scorer:
    """Scores of language models, kept below the data root."""
    return Scorer(settings.data_root / "scores", settings.training.cache, report_progress)


def training_process(settings: Settings) -> AbstractContextManager[None]:
    """What is fine-tuned or scored inside is so in one process, started when it is needed."""
    return persistent_worker(settings.data_root / "training.log")


@contextmanager
def outside_world(settings: Settings) -> Iterator[Outside]:
    """Open the clients; in the sandbox profile start the vendor first and point them at it."""
    from tasks.ingest.http.client import feed_client, price_client
    from tasks.ingest.http.hosts import Hosts
    from tasks.ingest.prices.web_vendor import web_vendor
    from tasks.ingest.prices.yahoo_transport import yahoo_session

    clock, hosts = clock_of(settings), Hosts()
    shared: dict[str, Any] = {"hosts": hosts, "secrets": secret_of_block}
    with _vendor(settings, clock) as redirect_to:
        yahoo = yahoo_session(redirect_to, settings.http.prices, clock=clock, hosts=hosts)
        try:
            with ExitStack() as stack:
                bounds = settings.http.feeds
                if redirect_to is None:
                    rates = {feed.host: feed.rate for feed in settings.feeds if feed.rate}
                    bounds = bounds.with_rates(rates)
                feeds = stack.enter_context(feed_client(redirect_to, bounds, **shared))
                limits, deadline = settings.http.prices, settings.prices.timeout
                zone = settings.prices.exchange_zone
                others: dict[str, PriceVendor] = {}
                for one in settings.prices.in_order:
                    if one.kind != "yahoo":
                        client = stack.enter_context(
                            price_client(redirect_to, limits, deadline, **shared)
                        )
                        others[one.name] = web_vendor(one, zone, client, clock)
                yield Outside(clock, yahoo, feeds, redirect_to is not None, hosts, others)
        finally:
            yahoo.close()


@contextmanager
def _vendor(settings: Settings, clock: Clock) -> Iterator[str | None]:
    chosen = settings.sandbox
    if chosen is None or chosen.url is not None:
        yield None if chosen is None else chosen.url
        return
    from sandbox.chart import Quoting
    from sandbox.market import bokeh_market, synthetic_market
    from sandbox.mortality import with_deaths
    from sandbox.newswire import NewsSpec
    from sandbox.vendor import SandboxVendor

    tickers = settings.universe.tickers
    if chosen.market == "bokeh":
        market = bokeh_market()
    else:
        market = synthetic_market(
            tickers=tickers if chosen.market == "universe" else len(tickers),
            start=settings.history.prices_start,
            end=clock().date() + timedelta(days=7),  # the evening poll has news of tomorrow
            seed=chosen.seed,
        )
    if chosen.deaths:
        market = with_deaths(market, chosen.deaths)
    news = NewsSpec(
        seed=chosen.seed, mode=chosen.news, strength=chosen.strength, coverage=chosen.coverage
    )
    recorded = chosen.recorded if chosen.recorded and chosen.recorded.is_dir() else None
    quoting = Quoting(split_adjusted=chosen.market == "universe")
    with SandboxVendor(
        market, news, now=clock, faults=chosen.faults, quoting=quoting, recorded=recorded
    ) as vendor:
        yield vendor.base_url
