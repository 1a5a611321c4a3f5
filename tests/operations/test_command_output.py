"""Hazards of what commands print: cut ids, lost rows, tables no program reads, silence in a log."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from flows.cli.main import shared_first
from flows.cli.progress import EVERY, Lines
from flows.connections import NoDatasetError, find_dataset
from flows.settings import load_settings
from tests.builders.command_line import REPOSITORY, Newsvane, command_of
from tests.builders.warehouse import LONG_AFTER
from warehouse.lake import Lake
from warehouse.tables import schemas

ID = "0123456789abcdef"
LONG_ROWS = f"select '{ID}' as model_id, repeat('word ', 30) as words, i from range(300) t(i)"


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (["sql", "q", "--set", "a=1", "--json"], ["--set", "a=1", "--json", "sql", "q"]),
        (["--profile=live", "daily"], ["--profile=live", "daily"]),
        (["sql", "--", "--json"], ["sql", "--", "--json"]),
        (["run", "--set"], ["--set", "run"]),
    ],
)
def test_shared_options_stand_anywhere(given: list[str], moved: list[str]) -> None:
    assert shared_first(given) == moved


def test_table_for_a_program_holds_every_row_and_nothing_else(newsvane: Newsvane) -> None:
    made = json.loads(newsvane("sql", LONG_ROWS, "--json").stdout)
    assert len(made) == 300
    assert made[7]["model_id"] == ID
    assert made[7]["i"] == 7
    rows = list(csv.DictReader(io.StringIO(newsvane("--csv", "sql", LONG_ROWS).stdout)))
    assert [row["i"] for row in rows] == [str(number) for number in range(300)]
    twice = newsvane("sql", "select 1 as a, [date '2020-01-01'] as a", "--json").stdout
    assert json.loads(twice) == [{"a": 1, "a_2": ["2020-01-01"]}]
    found = newsvane("doctor", "--json")
    assert {"state", "what", "what to do"} <= set(json.loads(found.stdout)[0])


def test_two_shapes_at_once_are_refused(newsvane: Newsvane) -> None:
    refused = newsvane("sql", "select 1", "--json", "--csv")
    assert refused.returncode == 2
    assert "exclude each other" in refused.stderr


def test_piped_table_is_not_cut(newsvane: Newsvane) -> None:
    lines = newsvane("sql", LONG_ROWS).stdout.splitlines()
    assert sum(ID in line and "word word" in line for line in lines) == 300
    assert not any("…" in line for line in lines)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A real terminal of 80 columns in which the query of long rows has been asked."""
    leader, follower = pty.openpty()
    environment = {
        **os.environ,
        "NEWSVANE_DATA_ROOT": str(tmp_path / "data"),
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }
    words = command_of("sql", LONG_ROWS)
    with subprocess.Popen(
        words, cwd=REPOSITORY, env=environment, stdout=follower, stderr=follower, stdin=follower
    ) as process:
        os.close(follower)
        yield leader, process
    os.close(leader)


def test_narrow_terminal_shows_ids_whole_and_says_what_it_leaves_out(
    terminal: tuple[int, subprocess.Popen[bytes]],
) -> None:
    leader, process = terminal
    said = b""
    try:
        while block := os.read(leader, 65_536):
            said += block
    except OSError:
        pass  # how Linux says that the other side is closed
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode())
    assert text.count(ID) == 200
    assert "100 more rows" in text


def test_help_version_and_module_are_where_people_look(newsvane: Newsvane) -> None:
    assert "Exit codes" in newsvane("-h").stdout
    assert "Fine-tune the configured recipe" in newsvane("finetune", "-h").stdout
    assert newsvane("--version").stdout.startswith("newsvane ")
    words = [command_of()[0], "-m", "newsvane", "--version"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert said.stdout.startswith("newsvane ")


def test_error_has_no_color_codes_where_none_are_wanted(newsvane: Newsvane) -> None:
    assert "\x1b" not in newsvane("sql", "selec 1", NO_COLOR="1").stderr


def test_log_of_long_work_has_a_line_now_and_then() -> None:
    written: list[str] = []
    seconds = iter((0.0, 1.0, EVERY - 0.1, EVERY, EVERY + 1, EVERY + 2))
    lines = Lines(written.append, lambda: next(seconds))
    for done in (0, 1, 2, 3):
        lines.advance("prices", done, 5, f"group {done}")
    lines.advance("prices", 5, 5)
    lines.advance("prices", 5, 5)
    assert written == ["prices: 0 of 5 group 0\n", "prices: 3 of 5 group 3\n", "prices: 5 of 5\n"]


def test_beginning_of_an_id_that_fits_two_data_sets_chooses_neither(tmp_path: Path) -> None:
    settings = load_settings(overrides=[f"data_root={tmp_path}"])
    rows = [
        {
            "dataset_id": name, "spec_id": "s", "spec_digest": "d", "snapshot_id": 1,
            "created_at": LONG_AFTER, "path": "p", "manifest": "{}",
        }
        for name in ("abcd01", "abcd02", "ef")
    ]  # fmt: skip
    with Lake.open(settings.warehouse) as lake:
        table = pa.Table.from_pylist(rows, schema=schemas.DATASETS)
        lake.transact(lambda tx: tx.append("datasets", table))
        for given, found in (("abcd", 2), ("abcd01", 1), ("e", 1), ("x", 0)):
            chosen = {"wanted": given, "spec_digest": None}
            assert len(lake.read("datasets_fitting", chosen)) == found
    with pytest.raises(NoDatasetError, match=r"2 data sets begin with 'abcd': abcd01, abcd02"):
        find_dataset(settings, "abcd")
