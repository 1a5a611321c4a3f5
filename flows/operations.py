"""Upkeep of the warehouse and its backups, as flows that can be scheduled."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.platform.parameters import Selection, Told
from flows.platform.runtime import named_by_start
from flows.settings import load_settings
from warehouse.lake import Lake
from warehouse.ops.backup import BackupManifest, back_up
from warehouse.ops.maintenance import Upkeep, maintain
from warehouse.storage.landing import Landing


@flow(name="maintenance", flow_run_name=named_by_start, timeout_seconds=12 * 3600)
def maintenance(
    selection: Selection,
    backup: Annotated[Path | None, Told("Folder for a backup afterwards. Empty: none.")] = None,
) -> Upkeep:
    """Merge small files, forget old snapshots, delete what nothing refers to; then back up.

    Snapshots that data sets, and with them models, refer to are kept, and every payload that a
    row refers to. With `backup`, a folder, the warehouse is copied there afterwards, never at the
    same time.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    landing = Landing.of(settings.warehouse)
    with Lake.open(settings.warehouse) as lake:
        # Ages are of files and commits, which bear the real time even in the sandbox.
        done = maintain(lake, landing, settings.maintenance, now=datetime.now(UTC))
    create_table_artifact(done.table(), key="maintenance", description="Upkeep of the warehouse")
    if backup is not None:
        back_up_warehouse(selection, backup)
    return done


@flow(name="backup", flow_run_name="backup to {folder}", timeout_seconds=12 * 3600)
def back_up_warehouse(
    selection: Selection,
    folder: Annotated[Path, Told("Where the copy goes; made when it is missing.")],
) -> BackupManifest:
    """Copy catalog, data files and payloads into `folder`; a second time only what is new."""
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    made = back_up(settings.warehouse, folder)
    size = sum(file.bytes for file in made.files)
    rows = [
        {"what": "snapshot", "count": str(made.snapshot_id)},
        {"what": "files", "count": f"{len(made.files):,}"},
        {"what": "bytes", "count": f"{size:,}"},
    ]
    create_table_artifact(rows, key="backup", description=f"Backup in {folder}")
    return made
