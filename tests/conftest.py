"""Which builders and servers every stage's tests share, and in what order the tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = (
    "tests.builders.command_line",
    "tests.builders.frames",
    "tests.builders.servers",
    "tests.builders.warehouse",
    "tests.builders.witnesses",
)

REPOSITORY = Path(__file__).resolve().parents[1]

# Tests run side by side, on little data: a second thread of theirs is paid for and gains nothing.
# Set before torch and DuckDB start any. Tests of what threads may disturb ask for two.
os.environ.setdefault("NEWSVANE_WAREHOUSE__THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TOGETHER = ("ingest/backfill", "operations/scale", "report/page", "report/site", "training")
"""Folders whose files share what takes long to make."""

LONGEST = (
    "training",
    "operations/test_bad_luck.py",
    "operations/test_dead_sources.py",
    "prediction/test_sixty_days.py",
    "operations/test_whole_job.py",
    "ingest/backfill",
    "prediction/test_simulated_days.py",
    "operations/test_prefect_ui.py",
    "checks/test_selftest_flow.py",
)
"""Groups that begin first, so that no worker is left alone with one at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Have xdist keep the order below; it would begin with the files of most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one worker, so that what it shares is made once; slow ones begin first."""
    ranks: dict[str, int] = {}
    for item in items:
        group = _group_of(item.path.relative_to(REPOSITORY / "tests"))
        item.add_marker(pytest.mark.xdist_group(group))
        slow = item.get_closest_marker("slow") is not None
        rank = LONGEST.index(group) if group in LONGEST else len(LONGEST) + (not slow)
        ranks[group] = min(rank, ranks.get(group, rank))
    items.sort(key=lambda item: ranks[_group_of(item.path.relative_to(REPOSITORY / "tests"))])


def _group_of(path: Path) -> str:
    folders = (folder for folder in TOGETHER if path.is_relative_to(folder))
    return next(folders, path.as_posix())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips when it is absent."""
    root = Path(os.environ.get("NEWSVANE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data sets are not present at {root}; set NEWSVANE_SHARED_DATA")
    return root
