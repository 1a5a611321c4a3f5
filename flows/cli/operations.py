"""Commands that keep a warehouse in shape: maintain, backup, verify-backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.context import prepared, settings_of

app = typer.Typer()
BackupFolder = Annotated[Path, typer.Argument(help="Folder of the backup.")]


@app.command()
def maintain(
    context: typer.Context,
    backup: Annotated[Path | None, typer.Option(help="Back up there afterwards.")] = None,
) -> None:
    """Merge small files, forget old snapshots, delete what nothing refers to any more."""
    settings = prepared(context)
    from flows.operations import maintenance

    for row in maintenance(settings.selection, backup).table():
        typer.echo(f"{row['what']:<20} {row['count']:>8}")


@app.command()
def backup(context: typer.Context, folder: BackupFolder) -> None:
    """Copy the warehouse into a folder, with hashes; a second time only what is new."""
    settings = settings_of(context)
    from warehouse.ops.backup import back_up

    made = back_up(settings.warehouse, folder)
    typer.echo(f"{len(made.files):,} files as of snapshot {made.snapshot_id} are in {folder}.")


@app.command("verify-backup")
def verify_backup(folder: BackupFolder) -> None:
    """Read every file of a backup again and compare its hash."""
    from warehouse.ops.backup import verify_backup as verify

    typer.echo(f"All {len(verify(folder).files):,} files are as they were backed up.")


@app.command()
def restore(context: typer.Context, folder: BackupFolder) -> None:
    """Make a backup the configured warehouse, which must not exist yet."""
    settings = settings_of(context)
    from warehouse.ops.backup import restore as put_back

    made = put_back(folder, settings.warehouse)
    typer.echo(f"Restored {len(made.files):,} files as of snapshot {made.snapshot_id}.")
