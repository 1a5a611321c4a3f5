"""Many days in minutes: daily and weekly jobs in the sandbox, under a clock that is moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pyarrow.compute as pc

from flows.backfill import backfill
from flows.connections import training_process
from flows.jobs import daily, weekly
from flows.platform.daily_watch import BEFORE_OPEN
from flows.platform.display import current_sink
from flows.platform.notifications import one_heartbeat
from flows.platform.runtime import configured_flow
from flows.prediction import score
from flows.report import write_site
from flows.settings import ConfigSelection, Settings
from warehouse.lake import Lake

Job = Literal["daily", "weekly"]
AFTER_OPEN = timedelta(hours=12)
"""From the open: by then the session's close is final, and the next decision hours away."""


class SimulationError(ValueError):
    """Days cannot be simulated with this configuration; the message says why."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was simulated, and the verdict on the forward record at its end."""

    first_session: date
    last_session: date
    sessions: int
    retrainings: int
    champions: tuple[str, ...]
    verdict: str
    site: Path


@configured_flow("simulate")
def simulate(settings: Settings, days: int = 60, seed: int | None = None) -> Simulation:
    """Simulate the last `days` sessions before the sandbox's `now`, one after another.

    The history before them is backfilled and a first model is trained on it. Then the daily job
    runs each morning before the open, and the weekly one before the first session of a week: each
    sees the world as it was at its own moment. Interrupted, it goes on after the last job that was
    sealed. `seed` is that of newswire and training. Raises SimulationError outside the sandbox.
    """
    if settings.sandbox is None:
        raise SimulationError(
            "Only the sandbox's clock can be moved, and this profile asks the real world. Choose "
            "a profile with [sandbox], such as --profile simulation; nothing was run."
        )
    seeds = () if seed is None else (f"sandbox.seed={seed}", f"training.seed={seed}")
    selection = settings.selection.overridden(*seeds)
    moments = itinerary(settings.universe.exchange, settings.sandbox.now, days)
    mornings = [at for at, job in moments if job == "daily"]
    history, eve = settings.history, at_clock(selection, moments[0][0])
    backfill(eve, history.prices_start, mornings[0].date(), what=("prices",))
    backfill(eve, history.headlines_start, mornings[0].date(), what=("headlines",))
    with Lake.open(settings.warehouse) as lake:
        done = pc.max(lake.read("seal_chain")["sealed_at"]).as_py()
    evening = at_clock(selection, mornings[-1] + BEFORE_OPEN + AFTER_OPEN)
    with one_heartbeat(), training_process(settings):
        left = [moment for moment in moments if done is None or moment[0] > done]
        champions = [_run_job(at_clock(selection, at), job) for at, job in _with_progress(left)]
        daily(evening)
    return Simulation(
        first_session=mornings[0].date(),
        last_session=mornings[-1].date(),
        sessions=len(mornings),
        retrainings=len(moments) - len(mornings),
        champions=tuple(dict.fromkeys(filter(None, champions))),
        verdict=score(evening),
        site=write_site(evening),
    )


def _run_job(selection: ConfigSelection, job: Job) -> str | None:
    """Run one job; the champion after a retraining."""
    if job == "weekly":
        return weekly(selection).decision.champion
    daily(selection)
    return None


def _with_progress(moments: Sequence[tuple[datetime, Job]]) -> Iterator[tuple[datetime, Job]]:
    sink = current_sink()
    for done, (at, job) in enumerate(moments):
        sink.advance("jobs", done, len(moments), f"{job} {at:%Y-%m-%d %H:%M}")
        yield at, job
    sink.advance("jobs", len(moments), len(moments))


def at_clock(selection: ConfigSelection, moment: datetime) -> ConfigSelection:
    """The selection with the sandbox's clock at `moment` (UTC)."""
    return selection.overridden(f"sandbox.now={moment.isoformat()}")


def itinerary(exchange: str, until: datetime, days: int) -> tuple[tuple[datetime, Job], ...]:
    """What runs when (UTC) over the last `days` sessions that close before `until`."""
    from tasks.dataset.spec.clock import exchange_sessions

    reach = timedelta(days=10 + 2 * days)
    sessions = exchange_sessions(exchange, (until - reach).date(), until.date()).to_pylist()
    closed = [row for row in sessions if row["close_ts"] < until][-days - 1 :]
    return tuple(_moments(closed))


def _moments(sessions: Sequence[dict[str, Any]]) -> Iterator[tuple[datetime, Job]]:
    """`sessions` begins with the one before the first that is simulated."""
    for number, (before, today) in enumerate(pairwise(sessions)):
        weeks = [row["session"].isocalendar()[:2] for row in (before, today)]
        if number == 0 or weeks[0] != weeks[1]:
            yield before["open_ts"] + AFTER_OPEN, "weekly"
        yield today["open_ts"] - BEFORE_OPEN, "daily"
