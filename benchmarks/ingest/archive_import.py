"""Import of an archive of headlines: seconds, peak memory, and what a repeat costs.

Run as `python -m benchmarks.ingest.archive_import [--rows N] [--shuffled]`. The archive is made up:
titles of 6 to 12 words from a vocabulary with the word frequencies of English, 500 tickers, ten
years, one title in twenty a retelling, one in fifty with markup. Every row is read, cleaned, dated,
identified, published to a DuckLake and grouped into stories; then the file is imported again.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.ingest.headlines.archive import HeadlineMapping, read_headlines
from warehouse.lake import Lake, LakeSpec
from warehouse.storage.landing import Landing
from warehouse.tables.headlines import join_stories, publish_headlines

NOW = datetime(2024, 1, 2, tzinfo=UTC)
FIRST = datetime(2010, 1, 4, tzinfo=UTC)
YEARS = timedelta(days=3650)
MAPPING = HeadlineMapping(source="bench", title="text", published_at="when", ticker="symbol")


def main() -> None:
    """Print one line per import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shuffled", action="store_true", help="rows in no order of time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_archive(root / "news.parquet", options.rows, shuffled=options.shuffled)
        start = _peak_mb()
        spec = LakeSpec(
            catalog=f"sqlite:{root / 'catalog.sqlite'}",
            storage=str(root / "lake"),
            landing=str(root / "landing"),
            lock=root / "lock",
            memory_limit="512MB",
        )
        for name in ("first import", "repeat"):
            clock, cpu = time.perf_counter(), time.process_time()
            with Lake.open(spec) as lake:
                added, joined = imported(lake, root)
            print(
                f"{name}: {options.rows:,} rows, {added:,} headlines added, {joined:,} joined to "
                f"earlier stories, {time.perf_counter() - clock:.1f} s "
                f"({time.process_time() - cpu:.1f} s of CPU), peak {_peak_mb():,.0f} MB "
                f"({start:,.0f} MB before)"
            )


def imported(lake: Lake, root: Path) -> tuple[int, int]:
    """Import the file; how many headlines were added and how many stories joined."""
    landing, added = Landing(root / "landing"), 0
    for batch in read_headlines(
        root / "news.parquet", MAPPING, clock=lambda: NOW, land=landing.store
    ):
        added += publish_headlines(lake, batch, now=NOW, join=False).added
    return added, join_stories(lake, FIRST, FIRST + YEARS) if added else 0


def write_archive(path: Path, rows: int, *, shuffled: bool) -> None:
    """Write the made-up archive, in order of time unless `shuffled`."""
    random = np.random.default_rng(7)
    vocabulary = _vocabulary(random)
    when = np.sort(random.integers(0, int(YEARS.total_seconds()), rows))
    if shuffled:
        random.shuffle(when)
    writer = None
    for begin in range(0, rows, 100_000):
        part = _part(random, vocabulary, when[begin : begin + 100_000])
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    if writer:
        writer.close()


def _vocabulary(random: np.random.Generator) -> np.ndarray:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return np.array(["".join(random.choice(letters, random.integers(3, 9))) for _ in range(20_000)])


def _part(random: np.random.Generator, vocabulary: np.ndarray, when: np.ndarray) -> pa.Table:
    rows = len(when)
    words = vocabulary[np.minimum(random.zipf(1.2, (rows, 12)) - 1, len(vocabulary) - 1)]
    words[np.arange(12)[None, :] >= random.integers(6, 13, rows)[:, None]] = ""
    titles = pc.binary_join_element_wise(*(pa.array(column) for column in words.T), " ")
    titles = pc.utf8_trim_whitespace(titles)
    repeated = np.flatnonzero(random.random(rows) < 0.05)
    source = np.arange(rows)
    source[repeated] = np.maximum(repeated - random.integers(1, 200, len(repeated)), 0)
    titles = titles.take(pa.array(source))
    marked = pc.binary_join_element_wise("<b>", titles, "</b> &amp; more", "")
    symbols = pa.array([f"T{number}" for number in range(500)])
    seconds = when + int(FIRST.timestamp())
    return pa.table(
        {
            "text": pc.if_else(pa.array(random.random(rows) < 0.02), marked, titles),
            "when": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")),
            "symbol": symbols.take(pa.array(random.integers(0, 500, rows))),
        }
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
