"""Where a build's CPU seconds go: by named SQL statement, and what is none.

    python benchmarks/dataset/statements.py --rows 200000

A market of that size is made aside; then all is built from nothing, and once more after one more
session has come. CPU seconds are those of the whole process, threads included.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import contest
import market

from tasks.dataset.build import assemble_dataset
from warehouse.lake import Lake, sql

OTHER = "all else: files, commits, catalog"


def main() -> None:
    """Build twice and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--tickers", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        market.prepare(folder, contest.lake_spec(folder), options.rows, options.tickers)
        with Lake.open(contest.lake_spec(folder)) as lake:
            build(lake, folder, f"from nothing, {options.rows:,} headlines")
            market.add_session(lake)
            build(lake, folder, "one more session")


def build(lake: Lake, folder: Path, title: str) -> None:
    """Build the contest's data set and print what each statement took, the longest first."""
    began = cpu_seconds()
    with measured() as spent:
        assemble_dataset(lake, contest.contest_spec(), folder / "sets", now=contest.NOW)
    whole = cpu_seconds() - began
    spent[OTHER] = whole - spent.total()
    print(f"{title}: {whole:.2f} CPU s, peak {contest.peak_megabytes():.0f} MB")
    for name, seconds in spent.most_common(16):
        print(f"  {name:<36}{seconds:8.3f}")


@contextmanager
def measured() -> Iterator[Counter[str]]:
    """While open, the CPU seconds of every named statement are counted."""
    spent: Counter[str] = Counter()
    names = {sql.statement(name).text: name for name in sql.names()}
    run: Callable[..., Any] = sql.run

    def counted(connection: Any, text: str, *rest: Any) -> Any:
        began = cpu_seconds()
        try:
            return run(connection, text, *rest)
        finally:
            spent[names.get(text, OTHER)] += cpu_seconds() - began

    sql.run = counted
    try:
        yield spent
    finally:
        sql.run = run


def cpu_seconds() -> float:
    """User and system seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
