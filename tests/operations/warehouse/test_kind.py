"""Hazard of a forgotten --profile: synthetic rows in a live warehouse, or the reverse."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.builders.warehouse import lake_spec_below, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec
from warehouse.ops.backup import back_up
from warehouse.ops.restore import restore

Kind = Literal["sandbox", "live"]


def below(folder: Path, kind: Kind | None) -> LakeSpec:
    return lake_spec_below(folder).model_copy(update={"kind": kind})


def write(spec: LakeSpec, exchange: str) -> None:
    with Lake.open(spec) as lake:
        lake.transact(lambda tx: tx.append("sessions", sessions_of(exchange)))


def kept(spec: LakeSpec) -> list[str]:
    with Lake.open(spec.of_any_kind()) as lake:
        return [str(row["exchange"]) for row in lake.sql("from sessions").to_pylist()]


@pytest.mark.parametrize(("first", "second"), [("live", "sandbox"), ("sandbox", "live")])
def test_profile_of_the_other_kind_writes_nothing(
    tmp_path: Path, first: Kind, second: Kind
) -> None:
    write(below(tmp_path, first), "XNYS")
    with pytest.raises(LakeError, match="--profile or NEWSVANE_PROFILE") as refused:
        Lake.open(below(tmp_path, second))
    assert str(refused.value).count(". ") == 1
    write(below(tmp_path, first), "XLON")
    assert kept(below(tmp_path, second)) == ["XNYS", "XLON"]


def test_opening_decides_nothing_and_the_first_writer_does(tmp_path: Path) -> None:
    Lake.open(below(tmp_path, "sandbox")).close()
    with Lake.open(below(tmp_path, "live")) as live, Lake.open(below(tmp_path, "sandbox")) as late:
        live.transact(lambda tx: tx.append("sessions", sessions_of("XNYS")))
        with pytest.raises(LakeError, match="would write data of the sandbox"):
            late.transact(lambda tx: tx.append("sessions", sessions_of("XLON")))
    assert kept(below(tmp_path, None)) == ["XNYS"]


def test_warehouse_of_a_former_release_takes_the_kind_of_its_next_writer(tmp_path: Path) -> None:
    write(below(tmp_path, None), "XNYS")
    with Lake.open(below(tmp_path, None)) as lake:
        lake._connection.execute("DROP TABLE __ducklake_metadata_lake.newsvane_kind")
    write(below(tmp_path, "live"), "XLON")
    with pytest.raises(LakeError, match="would write data of the sandbox"):
        write(below(tmp_path, "sandbox"), "XTKS")


def test_kind_comes_back_with_a_backup(tmp_path: Path) -> None:
    write(below(tmp_path / "here", "live"), "XNYS")
    back_up(below(tmp_path / "here", "live"), tmp_path / "backup")
    restore(tmp_path / "backup", below(tmp_path / "there", "live"))
    with pytest.raises(LakeError, match="would write data of the sandbox"):
        write(below(tmp_path / "there", "sandbox"), "XLON")
