"""Maintenance, backup and restore as people reach them: the command line and a Prefect run."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import ConfigSelection
from tests.builders.command_line import Newsvane
from warehouse.ops.maintenance import Upkeep

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


def test_warehouse_is_backed_up_verified_and_restored_by_command(
    newsvane: Newsvane, tmp_path: Path
) -> None:
    folder = str(tmp_path / "backup")
    assert newsvane("backup", folder).returncode == 0
    assert "are as they were backed up" in newsvane("verify-backup", folder).stdout
    there = {"NEWSVANE_DATA_ROOT": str(tmp_path / "there")}
    assert "Restored" in newsvane("restore", folder, **there).stdout
    count = newsvane("sql", "select count(*) as versions from schema_versions", **there)
    assert count.returncode == 0
    again = newsvane("restore", folder, **there)
    assert again.returncode == 2
    assert "never overwrites" in again.stderr


def test_maintenance_flow_backs_up_after_it(prefect_runs: str, tmp_path: Path) -> None:
    from flows.operations import maintenance

    selection = ConfigSelection(
        config=REPOSITORY / "newsvane.toml", overrides=(f"data_root={tmp_path / 'data'}",)
    )
    assert maintenance(selection, tmp_path / "backup") == Upkeep()
    assert (tmp_path / "backup" / "backup.json").is_file()
