"""What Prefect costs a backfill: python -m benchmarks.orchestration.backfill --tickers 50

The same backfill twice, each in a process of its own and into an empty warehouse: as it is, on a
Prefect server that already runs, and with every flow and task called as the plain function it
wraps. The difference is the orchestration. Both ask one sandbox vendor of this process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

from sandbox.market import synthetic_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor

END = date(2012, 12, 31)
REPOSITORY = Path(__file__).resolve().parents[2]


def plain() -> None:
    """From here on flows and tasks are their functions, and artifacts are not made."""
    import prefect
    from prefect.artifacts import Artifact

    prefect.Flow.__call__ = lambda flow, *args, **kwargs: flow.fn(*args, **kwargs)
    prefect.Task.__call__ = lambda task, *args, **kwargs: task.fn(*args, **kwargs)
    Artifact.create = lambda *_, **__: argparse.Namespace(id=None)


def one(how: str, overrides: list[str], start: str) -> None:
    """One backfill in this process; writes its seconds as a JSON line."""
    import exchange_calendars  # noqa: F401 - not measured

    from flows.backfill import backfill
    from flows.settings import ConfigSelection

    if how == "plain":
        plain()
    chosen = ConfigSelection(config=REPOSITORY / "newsvane.toml", overrides=tuple(overrides))
    wall, cpu = time.perf_counter(), time.process_time()
    done = backfill(chosen, date.fromisoformat(start), END)
    if how == "plain" and not hasattr(done, "bars"):
        done = done.data
    figures = {
        "how": how,
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "requests": done.requests,
        "bars": done.bars,
        "headlines": done.headlines,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures), flush=True)


def compare(tickers: int, days: int, folder: Path) -> list[dict[str, object]]:
    """Both ways, one after the other."""
    from flows.platform.server import prefect_server

    start = END - timedelta(days=days - 1)
    now = datetime.combine(END + timedelta(days=2), clock_time(12), UTC)
    market = synthetic_market(tickers, start, END)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rows = []
    with (
        SandboxVendor(market, NewsSpec(coverage=0.6), now=lambda: now) as vendor,
        prefect_server(folder / "server", port) as api,
    ):
        for how in ("plain", "prefect"):
            overrides = [
                f"data_root={folder / how}",
                f"universe.tickers={json.dumps(market.tickers)}",
                f'sandbox.url="{vendor.base_url}"',
                f"sandbox.now={now.isoformat()}",
            ]
            words = [sys.executable, "-m", __spec__.name, "--one", how, start.isoformat()]
            finished = subprocess.run(
                [*words, *overrides],
                cwd=REPOSITORY,
                env={**os.environ, "PREFECT_API_URL": api},
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append(json.loads(finished.stdout.splitlines()[-1]))
    return rows


def main() -> None:
    """Print both rows and the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=50)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        how, start, *overrides = chosen.one
        one(how, overrides, start)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(chosen.tickers, chosen.days, Path(folder))
    for row in rows:
        print(json.dumps(row))
    without, orchestrated = rows
    for measure in ("wall_seconds", "cpu_seconds"):
        more = float(str(orchestrated[measure])) - float(str(without[measure]))
        print(f"{measure} of orchestration: {more:.2f} ({more / float(str(without[measure])):.1%})")


if __name__ == "__main__":
    main()
