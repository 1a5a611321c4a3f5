"""Operations: maintenance and backups as flows, and the freshness of sources."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from prefect import tags
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.connections import clock_of, witnesses_of
from flows.platform.display import together
from flows.platform.notifications import TAG
from flows.platform.runtime import Described, configured_flow
from flows.settings import Settings
from tasks.checks.integrity import seal
from tasks.checks.witness.spec import WitnessError
from tasks.checks.witness.witnesses import Statement, deposit
from tasks.ingest.prices.agreement import drift_alarms, vendors_check
from tasks.ingest.prices.validation import EARLIEST
from warehouse.lake import Lake
from warehouse.ops.backup import BackupManifest, back_up
from warehouse.ops.maintenance import Upkeep, maintain
from warehouse.storage.landing import Landing


@configured_flow("maintenance", hours=12)
def maintenance(
    settings: Settings,
    backup: Annotated[
        Path | None, Described("Where to back up afterwards. Empty: nowhere.")
    ] = None,
    delete_unknown: Annotated[
        bool, Described("Delete also more than a small share of files that nothing refers to.")
    ] = False,
) -> Upkeep:
    """Merge small files, forget old snapshots, delete what nothing refers to; then back up.

    Snapshots that data sets, and with them models, refer to are kept, and every payload that a
    row refers to. With `backup`, a folder, the warehouse is copied there afterwards, never at the
    same time.
    """
    landing = Landing.of(settings.warehouse)
    with Lake.open(settings.warehouse) as lake:
        # Ages are of files and commits, which bear the real time even in the sandbox.
        done = maintain(
            lake,
            landing,
            settings.maintenance,
            now=datetime.now(UTC),
            delete_unknown=delete_unknown,
        )
    create_table_artifact(done.table(), key="maintenance", description="Upkeep of the warehouse")
    if backup is not None:
        back_up_warehouse(settings.selection, backup)
    return done


@configured_flow("backup", run_name="backup to {folder}", hours=12)
def back_up_warehouse(
    settings: Settings,
    folder: Annotated[Path, Described("Where the copy goes; made when it is missing.")],
) -> BackupManifest:
    """Copy catalog, data files and payloads into `folder`; a second time only what is new."""
    made = back_up(settings.warehouse, folder)
    size = sum(file.bytes for file in made.files)
    rows = [
        {"what": "snapshot", "count": str(made.snapshot_id)},
        {"what": "files", "count": f"{len(made.files):,}"},
        {"what": "bytes", "count": f"{size:,}"},
    ]
    create_table_artifact(rows, key="backup", description=f"Backup in {folder}")
    return made


@configured_flow("deposit", hours=1)
def deposit_chain(settings: Settings) -> tuple[Statement, ...]:
    """Deposit new links of the hash chain and their predictions with every configured witness.

    Raises WitnessError once all were asked, when one took nothing or holds another chain.
    """
    witnesses, now = witnesses_of(settings), clock_of(settings)()
    with Lake.open(settings.warehouse) as lake:
        seal(lake, now=now)
        done = deposit(lake, witnesses, now=now)
    words = "\n\n".join(one.words for one in done)
    create_markdown_artifact(words, key="witnesses", description="Deposits of the hash chain")
    failed = [one.words for one in done if not one.sound]
    if failed:
        raise WitnessError(" ".join(failed))
    return done


def deposit_without_delay(settings: Settings) -> None:
    """Deposit within another run, if a witness is configured; a failure is that run's alarm alone.

    What a witness missed it gets with its next deposit.
    """
    if settings.witness:
        with tags(TAG):  # else nobody would hear of it: the run around it goes on
            deposit_chain(settings.selection, return_state=True)


def check_sources(settings: Settings) -> tuple[pa.Table, tuple[str, ...]]:
    """Every source and key with its freshness and last error, and what is stale in words."""
    now = clock_of(settings)()
    limit = settings.stale_after
    with Lake.open(settings.warehouse) as lake:
        table = lake.read("sources_check", {"now": now, "stale_after": limit})
    prices = settings.prices
    if not prices.cross_check:
        # They are asked only for what the first one lacks: silence is as it should be.
        waiting = pc.is_in(table["source"], pa.array(prices.precedence[1:], pa.string()))
        stale = pc.and_(table["stale"], pc.invert(waiting))
        table = table.set_column(table.column_names.index("stale"), "stale", stale)
    silent = [
        (
            f"{row['source']} {row['key']}",
            f"last answered {row['last_success_at'] or 'never'}; expected an answer within "
            f"{limit}. Last error: {row['last_error'] or 'none'}.",
        )
        for row in table.to_pylist()
        if row["stale"]
    ]
    return table, tuple(f"{keys}: {words}" for keys, words in together(silent))


def check_vendors(settings: Settings) -> tuple[pa.Table, tuple[str, ...]]:
    """Every vendor of prices with what it gave and how it agrees, and who drifts in words."""
    with Lake.open(settings.warehouse) as lake:
        table = vendors_check(lake.read, settings.prices, EARLIEST)
    alarms = drift_alarms(table, settings.prices)
    return table, tuple(f"{source} {words}." for source, words in alarms)
