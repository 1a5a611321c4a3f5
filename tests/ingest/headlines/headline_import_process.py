"""Imports an archive of headlines in batches, so that a test can kill it at any moment.

Arguments: folder of the warehouse, archive. Prints "ready" when the import begins.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from tasks.ingest.headlines.archive import HeadlineMapping, read_headlines
from warehouse.lake import Lake, LakeSpec
from warehouse.storage.landing import Landing
from warehouse.tables.headlines import publish_headlines

NOW = datetime(2024, 1, 2, tzinfo=UTC)
MAPPING = HeadlineMapping(source="archive", title="text", published_at="when", ticker="symbol")


def main(folder: Path, archive: Path) -> None:
    """Import the archive, a commit for every hundred rows."""
    spec = LakeSpec(threads=1).placed_below(folder)
    land = Landing(folder / "landing").store
    print("ready", flush=True)
    with Lake.open(spec) as lake:
        for batch in read_headlines(archive, MAPPING, clock=lambda: NOW, land=land, batch_rows=100):
            publish_headlines(lake, batch, now=NOW)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
