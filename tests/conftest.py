"""Fixtures every room of the house may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.lake import Lake, LakeSpec

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def lake_spec(tmp_path: Path) -> LakeSpec:
    """A warehouse of its own for one test."""
    return LakeSpec(
        catalog=f"sqlite:{tmp_path / 'catalog.sqlite'}",
        storage=str(tmp_path / "lake"),
        landing=str(tmp_path / "landing"),
        lock=tmp_path / "writer.lock",
    )


@pytest.fixture
def lake(lake_spec: LakeSpec) -> Iterator[Lake]:
    """A real, empty DuckLake."""
    with Lake.open(lake_spec) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips when it is absent."""
    root = Path(os.environ.get("NEWSVANE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data sets are not present at {root}; set NEWSVANE_SHARED_DATA")
    return root
