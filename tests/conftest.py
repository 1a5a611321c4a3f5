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
)

REPOSITORY = Path(__file__).resolve().parents[1]

# Tests run side by side, on little data: a second thread of theirs is paid for and gains nothing.
# Set before torch and DuckDB start any. Tests of what threads may disturb ask for two.
os.environ.setdefault("NEWSVANE_WAREHOUSE__THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

LONGEST = (
    "prediction/test_sixty_days.py",
    "operations/test_whole_job.py",
    "ingest/backfill/test_backfill_at_scale.py",
    "prediction/test_simulated_days.py",
    "operations/test_prefect_ui.py",
    "checks/test_selftest_flow.py",
)
"""Files that begin first, so that no worker is left alone with one at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one worker, so that what it shares is made once; slow files begin first."""
    ranks: dict[Path, tuple[int, int]] = {}
    for item in items:
        path = item.path.relative_to(REPOSITORY / "tests")
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(path.as_posix()))
        quick = item.get_closest_marker("slow") is None
        place = LONGEST.index(path.as_posix()) if path.as_posix() in LONGEST else len(LONGEST)
        ranks[item.path] = min(ranks.get(item.path, (place, 1)), (place, int(quick)))
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips when it is absent."""
    root = Path(os.environ.get("NEWSVANE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data sets are not present at {root}; set NEWSVANE_SHARED_DATA")
    return root
