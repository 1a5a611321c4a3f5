"""Ingest in shards: the tickers split over several processes, or over the workers of a cluster.

Each shard fetches, parses and checks on its own; only commits wait for one another. Shards on
several machines need a warehouse that all of them reach: a PostgreSQL catalog and a bucket.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner
from pydantic import Field

from flows.platform.display import IngestSummary
from flows.platform.runtime import (
    Described,
    FirstDay,
    Kind,
    Kinds,
    LastDay,
    Tickers,
    configured_flow,
)
from flows.settings import ConfigSelection, ConfigurationError, Settings, ShardSpec
from tasks.ingest.planning import check_range


@configured_flow("ingest-in-shards", run_name="ingest {start} to {end} in {shards} shards")
def ingest_in_shards(
    settings: Settings,
    start: FirstDay,
    end: LastDay,
    tickers: Tickers = None,
    what: Kinds = ("prices", "headlines"),
    shards: Annotated[int, Field(ge=1, le=1000), Described("Parts to deal the tickers to.")] = 2,
) -> IngestSummary:
    """Ingest like `ingest`, the tickers split over shards that run side by side.

    The warehouse ends up with the same content whatever the number of shards. A shard that fails
    fails the run after the others have finished; the next run asks only for what is missing.
    """
    check_range(start, end)
    chosen = tickers or settings.universe.tickers
    parts = [chosen[first::shards] for first in range(min(shards, len(chosen)))]
    common = {"selection": settings.selection, "days": (start, end), "what": what}
    with task_runner(settings.shards) as runner:
        running = [runner.submit(_shard, {**common, "tickers": part}) for part in parts]
        for future in running:
            future.wait()
        summary = IngestSummary(start=start, end=end)
        for future in running:
            summary = summary.plus(future.result())
    create_table_artifact(summary.table(), key="ingest", description=f"Ingest {start} to {end}")
    return summary


@task(name="shard", task_run_name="shard from {tickers[0]}", cache_policy=NO_CACHE)
def _shard(
    selection: ConfigSelection,
    days: tuple[date, date],
    tickers: tuple[str, ...],
    what: tuple[Kind, ...],
) -> IngestSummary:
    # Imported where it runs: Prefect sends this function by value; a flow does not survive that.
    from flows.ingest import ingest

    return ingest(selection, *days, tickers, what)


def task_runner(spec: ShardSpec) -> TaskRunner[Any]:
    """Processes of this machine, or a Dask cluster. Raises ConfigurationError without Dask."""
    if spec.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=spec.workers)
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise ConfigurationError(
            "shards.runner is 'dask', but prefect-dask is not installed. Install newsvane[dask], "
            "or set shards.runner to 'processes'."
        ) from error
    local = {"n_workers": spec.workers, "threads_per_worker": 1, "host": "127.0.0.1"}
    runner: TaskRunner[Any] = (
        DaskTaskRunner(cluster_kwargs={**local, "dashboard_address": None})
        if spec.scheduler is None
        else DaskTaskRunner(address=spec.scheduler)
    )
    return runner
