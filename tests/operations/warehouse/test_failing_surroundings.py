"""A catalog that is held, a full disk, a folder without permission: waited for, or a sentence."""

from __future__ import annotations

import os
import resource
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.builders.warehouse import OpenLake, held_by_another_program, lake_spec_below
from warehouse.lake import Lake, LakeError, LakeSpec
from warehouse.lake.faults import advice, first_line, is_of_surroundings


def tickers(count: int) -> pa.Table:
    """Rows of the table of that name."""
    return pa.table(
        {
            "ticker": [f"T{os.urandom(8).hex()}" for _ in range(count)],
            "exchange": ["XNYS"] * count,
            "alias": [os.urandom(8).hex() for _ in range(count)],
            "kind": ["symbol"] * count,
            "valid_from": [date(2000, 1, 1)] * count,
            "valid_to": pa.array([None] * count, pa.date32()),
        }
    )


def impatient(folder: Path, seconds: float) -> LakeSpec:
    """The warehouse in a folder, which tries once and waits so long."""
    changed = {"commit_attempts": 1, "lock_patience": timedelta(seconds=seconds)}
    return lake_spec_below(folder).model_copy(update=changed)


def test_catalog_held_by_another_program_is_waited_for(open_lake: OpenLake, tmp_path: Path) -> None:
    open_lake(tmp_path).close()
    with (
        Lake.open(impatient(tmp_path, 30)) as lake,
        held_by_another_program(tmp_path / "catalog.sqlite", 3),
    ):
        lake.transact(lambda tx: tx.append("tickers", tickers(1)))
        assert lake.sql("SELECT * FROM tickers").num_rows == 1


def test_catalog_that_stays_held_is_named_in_a_sentence(
    open_lake: OpenLake, tmp_path: Path
) -> None:
    open_lake(tmp_path).close()
    with (
        Lake.open(impatient(tmp_path, 0)) as lake,
        held_by_another_program(tmp_path / "catalog.sqlite", 60),
        pytest.raises(LakeError, match="Another program holds the catalog") as told,
    ):
        lake.transact(lambda tx: tx.append("tickers", tickers(1)))
    assert "\n" not in str(told.value)


def test_full_disk_is_not_told_as_a_damaged_file(open_lake: OpenLake, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_lake(tmp_path) as lake:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
        try:
            with pytest.raises(LakeError, match="has no room") as told:
                lake.transact(lambda tx: tx.append("tickers", tickers(30_000)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "restore" not in str(told.value)
        lake.transact(lambda tx: tx.append("tickers", tickers(1)))
        assert lake.sql("SELECT * FROM tickers").num_rows == 1


def test_failed_undo_does_not_hide_the_cause(tmp_path: Path) -> None:
    both = duckdb.Error("cannot rollback - no transaction is active\ndatabase or disk is full")
    assert first_line(both) == "database or disk is full"
    assert "has no room" in str(advice(both, lake_spec_below(tmp_path)))
    alone = duckdb.Error("cannot rollback - no transaction is active")
    assert "could not be written" in str(advice(alone, lake_spec_below(tmp_path)))


@pytest.mark.parametrize(
    "words",
    [
        "database is locked",
        "No space left on device",
        "attempt to write a readonly database",
        "IO Error: Connection error for HTTP HEAD",
        "could not connect to server: Connection refused",
    ],
)
def test_what_the_database_blames_on_its_surroundings_is_tried_again(words: str) -> None:
    from prefect.states import Failed

    from flows.platform.runtime import is_transient

    assert is_of_surroundings(duckdb.Error(words))
    assert is_transient(None, None, Failed(data=duckdb.Error(words)))
    assert not is_transient(None, None, Failed(data=duckdb.BinderException("no such column")))
