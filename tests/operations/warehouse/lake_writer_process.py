"""Writes quarantine rows in a process of its own: FOLDER NAME COUNT."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from warehouse.lake import Lake, LakeSpec


def main(folder: Path, name: str, count: int) -> None:
    """One commit a row; every writer also raises one counter that all of them share."""
    spec = LakeSpec(threads=1).placed_below(folder)
    with Lake.open(spec) as lake:
        for number in range(count):
            row = {
                "quarantine_id": f"{name}-{number}",
                "kind": "bar",
                "source": name,
                "key": "k",
                "reason": "r",
                "record": "{}",
                "payload_id": None,
                "quarantined_at": datetime(2020, 1, 1, tzinfo=UTC),
            }
            table = pa.Table.from_pylist([row])
            lake.transact(lambda tx, table=table: tx.append("quarantine", table))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
