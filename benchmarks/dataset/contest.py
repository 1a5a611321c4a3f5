"""One competitor's turn, in a process of its own: build once, report seconds, memory and bytes.

`python contest.py NAME FOLDER` prints a line of JSON. FOLDER holds the sources, as `prepare` left
them: Parquet files for the rivals, a warehouse with the same rows for Newsvane.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import loops
import market
import rivals

from tasks.dataset.build import assemble_dataset
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.split import SplitSpec
from warehouse.lake import Lake, LakeSpec
from warehouse.storage.atomic import file_sha256
from warehouse.tables.datasets import write_labelled
from warehouse.tables.examples import derived_batches

NOW = datetime(2020, 2, 1, tzinfo=UTC)


class Start(NamedTuple):
    """When a turn began: wall and CPU seconds, imports left out."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Start:
        """This instant."""
        return cls(time.perf_counter(), time.process_time())


def lake_spec(folder: Path) -> LakeSpec:
    """The contest's warehouse, with the settings that a user has who chooses none."""
    return LakeSpec().placed_below(folder)


def contest_spec() -> DatasetSpec:
    """The default data set, cut late, in a file per month: what a nightly job would build."""
    cut = SplitSpec(
        train_until=date(2017, 12, 29),
        validation_until=date(2018, 12, 31),
        cross_split_duplicates="keep",
    )
    return DatasetSpec(split=cut, files="monthly")


def newsvane_text(folder: Path, out: Path) -> None:
    """What the rivals do: derive the examples from the stored rows and write the lines."""
    spec = contest_spec()
    with Lake.open(lake_spec(folder)) as lake, out.open("wb") as lines:
        for _ in derived_batches(lake, spec.sql_parameters()):
            write_labelled(lake, spec.sql_parameters(), lines)


def newsvane_whole(folder: Path, out: Path) -> None:
    """All of it: examples committed to the warehouse, twins, hashes, card and manifest."""
    root = folder / "sets"
    with Lake.open(lake_spec(folder)) as lake:
        manifest = assemble_dataset(lake, contest_spec(), root, now=NOW)
    with out.open("wb") as whole:
        for split in manifest.splits.values():
            for file in sorted(split.files, key=lambda file: file.name):
                if file.name.endswith(".jsonl"):
                    with (root / manifest.dataset_id / file.name).open("rb") as stream:
                        shutil.copyfileobj(stream, whole, 1 << 20)


def one_more_session(folder: Path, out: Path) -> None:
    """A day's news and bars arrive after the whole was built: build again."""
    with Lake.open(lake_spec(folder)) as lake:
        market.add_session(lake)
        began = Start.now()
        manifest = assemble_dataset(lake, contest_spec(), folder / "sets", now=NOW)
    out.write_text(manifest.dataset_id)
    report(began, out)
    sys.exit(0)


def raw_write(folder: Path, out: Path) -> None:
    """The bytes alone: what any of them must at least do."""
    body = (folder / "out-newsvane.jsonl").read_bytes()
    began = Start.now()
    with out.open("wb") as stream:
        stream.write(body)
        stream.flush()
        os.fsync(stream.fileno())
    report(began, out)
    sys.exit(0)


def report(began: Start, out: Path) -> None:
    """Print the turn's line."""
    ended = Start.now()
    line = {
        "seconds": ended.wall - began.wall,
        "cpu_seconds": ended.cpu - began.cpu,
        "peak_mb": peak_megabytes(),
        "sha256": file_sha256(out),
        "bytes": out.stat().st_size,
    }
    print(json.dumps(line))


def peak_megabytes() -> float:
    """The most memory this process has held; its parent's, which getrusage includes, left out."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Run the named competitor."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    competitors = {
        "newsvane": newsvane_text,
        "newsvane, whole": newsvane_whole,
        "polars join_asof": rivals.with_polars,
        "pandas merge_asof": rivals.with_pandas,
        "row loop": loops.with_a_loop,
        "filter loop": loops.with_filters,
        "raw write": raw_write,
        "one more session": one_more_session,
    }
    out = folder / f"out-{name.replace(' ', '-').replace(',', '')}.jsonl"
    began = Start.now()
    competitors[name](folder, out)
    report(began, out)


if __name__ == "__main__":
    main()
