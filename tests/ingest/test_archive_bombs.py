"""A compressed file that unpacks without end fills no disk."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tasks.ingest.archives.formats import ArchiveError
from tasks.ingest.archives.text import plain_text
from warehouse.storage import unpacking


@pytest.fixture(autouse=True)
def small_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a bomb of a few megabytes is one."""
    monkeypatch.setattr(unpacking, "ALLOWANCE", 1 << 20)


@pytest.mark.parametrize("filler", [b"\x00", b"a,b\n", b"\n"])
def test_bomb_is_refused_before_anything_is_copied(tmp_path: Path, filler: bytes) -> None:
    path, folder = tmp_path / "bars.csv.gz", tmp_path / "scratch"
    folder.mkdir()
    path.write_bytes(gzip.compress(b"date,close\n" + filler * ((32 << 20) // len(filler))))
    with (
        pytest.raises(ArchiveError, match="unpacks to more than"),
        plain_text(path, None, folder),
    ):
        pass
    assert list(folder.iterdir()) == []


def test_table_that_packs_well_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    rows = b"".join(b"2020-01-02,%d\n" % number for number in range(200_000))
    path.write_bytes(gzip.compress(b"date,close\n" + rows))
    with plain_text(path, None, tmp_path) as text:
        assert text.path.stat().st_size == len(rows) + 11
