"""Upkeep of the warehouse and its backups, as flows that can be scheduled."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.settings import ConfigSelection, load_settings
from warehouse.backup import BackupManifest, back_up
from warehouse.lake import Lake
from warehouse.landing import Landing
from warehouse.maintenance import Upkeep, maintain


@flow(name="maintenance")
def maintenance(selection: ConfigSelection, backup: Path | None = None) -> Upkeep:
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


@flow(name="backup")
def back_up_warehouse(selection: ConfigSelection, folder: Path) -> BackupManifest:
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
