"""What history costs a daily run: python -m benchmarks.orchestration.daily --tickers 500 --years 10

Two warehouses hold the same tickers, one for all the years and one for the last month; both were
filled by the import of files. Each then has the same two days: the first daily run is a warm-up,
the second is measured, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from sandbox.market import Market, synthetic_market
from sandbox.newswire import NewsSpec, headlines
from sandbox.vendor import SandboxVendor

REPOSITORY = Path(__file__).resolve().parents[2]
IMPORTED_UNTIL = date(2012, 11, 30)
DAYS = (date(2012, 12, 11), date(2012, 12, 12))
NEWS = NewsSpec(coverage=0.6)


def one(overrides: list[str]) -> None:
    """One daily run in this process; writes its seconds as a JSON line."""
    from flows.jobs import daily
    from flows.settings import ConfigSelection

    chosen = ConfigSelection(config=REPOSITORY / "newsvane.toml", overrides=tuple(overrides))
    wall, cpu = time.perf_counter(), time.process_time()
    done = daily(chosen)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figures = {"wall_seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
    print(json.dumps({**figures, "bars": done.bars, "headlines": done.headlines}), flush=True)


def write_archives(market: Market, first: date, folder: Path) -> tuple[Path, Path]:
    """Bars and headlines from `first` to IMPORTED_UNTIL as files."""
    bars = market.bars
    session = bars["session"]
    wanted = pc.and_(pc.greater_equal(session, first), pc.less_equal(session, IMPORTED_UNTIL))
    pq.write_table(bars.filter(wanted), folder / "bars.parquet")
    news = headlines(market, NEWS)
    until = datetime.combine(IMPORTED_UNTIL, clock_time(), UTC)
    published = news["published_at"]
    wanted = pc.and_(
        pc.greater_equal(published, datetime.combine(first, clock_time(), UTC)),
        pc.less(published, until),
    )
    kept = news.filter(wanted).select(["ticker", "title", "published_at"])
    pq.write_table(kept, folder / "news.parquet")
    return folder / "bars.parquet", folder / "news.parquet"


def measure(tickers: int, years: int, folder: Path) -> list[dict[str, object]]:
    """One row for each warehouse."""
    from flows.platform.server import prefect_server

    began = date(DAYS[1].year - years, 12, 12)
    market = synthetic_market(tickers, began, DAYS[1] + timedelta(days=7))
    today = [DAYS[0]]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rows: list[dict[str, object]] = []
    with (
        SandboxVendor(market, NEWS, now=lambda: moment(today[0])) as vendor,
        prefect_server(folder / "server", port) as api,
    ):
        for name, first in (("month", IMPORTED_UNTIL - timedelta(days=30)), ("years", began)):
            root = folder / name
            root.mkdir()
            environment = {**os.environ, "PREFECT_API_URL": api, "NEWSVANE_DATA_ROOT": str(root)}
            shared = [
                f"universe.tickers={json.dumps(market.tickers)}",
                f'sandbox.url="{vendor.base_url}"',
            ]
            fill(write_archives(market, first, root), shared, environment)
            for day in DAYS:
                today[0] = day
                overrides = [*shared, f"sandbox.now={moment(day).isoformat()}", *split(began)]
                words = [sys.executable, "-m", __spec__.name, "--one", *overrides]
                printed = output_of(words, environment)
                if day == DAYS[-1]:
                    rows.append({"history": name, **json.loads(printed.splitlines()[-1])})
    return rows


def moment(day: date) -> datetime:
    """A quarter past nine in New York, in winter."""
    return datetime.combine(day, clock_time(14, 15), UTC)


def split(began: date) -> list[str]:
    """A test split of the last fortnight in either warehouse."""
    days = {"start": began, "train_until": date(2012, 11, 16), "end": DAYS[1]}
    days["validation_until"] = date(2012, 11, 27)
    return [f"dataset.split.{name}={day.isoformat()}" for name, day in days.items()]


def fill(files: tuple[Path, Path], shared: list[str], environment: dict[str, str]) -> None:
    """Import both files by command."""
    newsvane = [sys.executable, "-m", "flows.cli.main", *(f"--set={word}" for word in shared)]
    maps = {
        "prices": "session=session source=sandbox-yahoo basis=session",
        "headlines": "title=title published_at=published_at ticker=ticker source=archive",
    }
    for (kind, mapped), file in zip(maps.items(), files, strict=True):
        columns = [f"--map={pair}" for pair in mapped.split()]
        output_of([*newsvane, "import", kind, str(file), *columns], environment)


def output_of(words: list[str], environment: dict[str, str]) -> str:
    """What a command printed; its complaint when it failed."""
    done = subprocess.run(
        words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return done.stdout


def main() -> None:
    """Print both rows and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        one(chosen.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        month, years = measure(chosen.tickers, chosen.years, Path(folder))
    for row in (month, years):
        print(json.dumps(row))
    for name in ("wall_seconds", "cpu_seconds"):
        print(f"{name}, years to month: {float(str(years[name])) / float(str(month[name])):.2f}")


if __name__ == "__main__":
    main()
