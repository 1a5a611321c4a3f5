"""Diff, rebuild and exports speak of the rows that are really there."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from tasks.dataset.build import assemble_dataset
from tasks.dataset.code_version import code_version
from tasks.dataset.export import SHAPES, ExportError, export_dataset
from tasks.dataset.rebuild import ProvenanceError, diff_datasets, read_manifest, rebuild_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec

NOW = datetime(2019, 5, 1, tzinfo=UTC)
CALENDAR = exchange_sessions("XNYS", date(2019, 3, 20), date(2019, 4, 10)).to_pylist()
CUT = SplitSpec(train_until=date(2019, 4, 1), validation_until=date(2019, 4, 4))


@pytest.fixture
def market(lake, fill) -> Any:
    bars = [(row["session"], 100.0, 99.0 + 2 * (n % 2)) for n, row in enumerate(CALENDAR)]
    fill.bars("AAA", bars)
    fill.news("AAA", [(row["open_ts"] - timedelta(hours=2), f"story {n}")
                      for n, row in enumerate(CALENDAR)])  # fmt: skip
    return fill


def build(lake, root: Path, **spec: Any) -> Path:
    manifest = assemble_dataset(lake, DatasetSpec(split=CUT, **spec), root, now=NOW)
    return root / manifest.dataset_id


def test_diff_names_what_changed_in_which_example(lake, market, tmp_path) -> None:
    first = build(lake, tmp_path)
    market.news("AAA", [(CALENDAR[2]["open_ts"] - timedelta(hours=1), "late find")])
    market.bars("AAA", [(CALENDAR[3]["session"], 100.0, 90.0)])
    second = build(lake, tmp_path)
    diff = diff_datasets(lake, first, second)
    rows = {row["example_id"]: row["differs"] for row in diff.examples.to_pylist()}
    assert rows == {
        f"AAA@{CALENDAR[2]['session']}": ["headlines"],
        f"AAA@{CALENDAR[3]['session']}": ["label", "return"],
    }
    assert diff.settings == {}
    assert "1 examples differ in: headlines" in diff.words()


def test_diff_names_settings_and_moved_rows(lake, market, tmp_path) -> None:
    first = build(lake, tmp_path)
    other = SplitSpec(train_until=date(2019, 3, 29), validation_until=date(2019, 4, 4))
    manifest = assemble_dataset(lake, DatasetSpec(split=other), tmp_path, now=NOW)
    diff = diff_datasets(lake, first, tmp_path / manifest.dataset_id)
    assert diff.settings == {"split.train_until": ("2019-04-01", "2019-03-29")}
    assert [row["differs"] for row in diff.examples.to_pylist()] == [["split"]]
    assert diff_datasets(lake, first, first).words() == "The data sets are the same."


def test_rebuild_from_the_manifest_is_identical_to_the_byte(lake, market, tmp_path) -> None:
    first = build(lake, tmp_path / "sets")
    market.bars("AAA", [(CALENDAR[3]["session"], 100.0, 90.0)])
    market.news("AAA", [(CALENDAR[2]["open_ts"] - timedelta(hours=1), "late find")])
    assert build(lake, tmp_path / "sets") != first
    rebuilt = rebuild_dataset(lake.spec, read_manifest(first), root=tmp_path / "again")
    assert rebuilt.identical, rebuilt.differences
    again = tmp_path / "again" / first.name
    for file in first.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_rebuild_names_the_file_that_differs(lake, market, tmp_path) -> None:
    manifest = read_manifest(build(lake, tmp_path / "sets"))
    train = manifest.splits["train"]
    forged = train.files[0].model_copy(update={"sha256": "0" * 64})
    entry = train.model_copy(update={"files": (forged, *train.files[1:])})
    claimed = manifest.model_copy(update={"splits": {**manifest.splits, "train": entry}})
    rebuilt = rebuild_dataset(lake.spec, claimed)
    assert not rebuilt.identical
    assert rebuilt.differences[0].startswith("train.jsonl: recorded 0000")


def test_unreadable_manifest_is_a_plain_error(tmp_path) -> None:
    with pytest.raises(ProvenanceError, match=r"manifest\.json"):
        read_manifest(tmp_path)


PROMPT = "AAA news:\n- story 0\nDirection:"
QUESTION = "Will the price go up or down? Answer with one word."
GOLDEN = {
    "messages": {
        "messages": [
            {"role": "user", "content": PROMPT}, {"role": "assistant", "content": "down"}
        ]
    },
    "completion": {"prompt": PROMPT, "completion": " down"},
    "llama_factory": {"instruction": PROMPT, "input": "", "output": "down"},
    "axolotl": {
        "segments": [{"label": False, "text": PROMPT}, {"label": True, "text": " down"}]
    },
    "fingpt": {"instruction": QUESTION, "input": PROMPT, "output": "down"},
    "pixiu": {
        "id": "AAA@2019-03-20", "query": PROMPT, "answer": "down", "text": PROMPT,
        "choices": ["up", "down"], "gold": 1,
    },
}  # fmt: skip


def test_export_shapes_carry_the_same_words(lake, market, tmp_path) -> None:
    folder = build(lake, tmp_path / "sets")
    assert set(GOLDEN) == set(SHAPES)
    for shape in SHAPES:
        paths = export_dataset(lake, folder, shape, tmp_path / shape)
        lines = paths[0].read_text().splitlines()
        assert json.loads(lines[0]) == GOLDEN[shape]
        assert len(lines) == read_manifest(folder).splits["train"].rows
    with pytest.raises(ExportError, match="one of"):
        export_dataset(lake, folder, "parrot", tmp_path)
    with pytest.raises(ExportError, match="manifest"):
        export_dataset(lake, tmp_path, "messages", tmp_path)


def test_unchanged_months_are_taken_over_not_rewritten(lake, market, tmp_path) -> None:
    spec = DatasetSpec(split=CUT, files="monthly")
    first = assemble_dataset(lake, spec, tmp_path, now=NOW)
    market.bars("AAA", [(date(2019, 4, 11), 100.0, 101.0)])
    market.news("AAA", [(datetime(2019, 4, 11, 11, tzinfo=UTC), "one more")])
    second = assemble_dataset(lake, spec, tmp_path, now=NOW)
    old, new = tmp_path / first.dataset_id, tmp_path / second.dataset_id
    assert old != new
    shared = {
        f.name for f in new.glob("*.jsonl") if f.stat().st_ino == (old / f.name).stat().st_ino
    }
    assert shared == {"train-2019-03.jsonl", "train-2019-04.jsonl", "validation-2019-04.jsonl"}
    whole = assemble_dataset(lake, DatasetSpec(split=CUT), tmp_path, now=NOW)
    text = "".join((new / name).read_text() for name in sorted(shared)[:2])
    assert text == (tmp_path / whole.dataset_id / "train.jsonl").read_text()


def test_context_mask_and_budget_shape_the_prompt(lake, market, tmp_path) -> None:
    market.listed("AAA", "XNYS")
    market.news(
        "AAA", [(CALENDAR[9]["open_ts"] - timedelta(hours=1), "Why $AAA and AAA's aaa fell")]
    )
    render = RenderSpec(
        template="{ticker} {returns}|{volume_change}|{market_return}|{days_since_news}|{headlines}",
        headline_template="{age} {title}", return_window=2, separator=";", mask="COMPANY",
        max_tokens=75, tokenizer="characters",
    )  # fmt: skip
    spec = DatasetSpec(split=CUT, render=render, label=LabelSpec(entry="previous_close"))
    assemble_dataset(lake, spec, tmp_path, now=NOW, count_tokens=pc.utf8_length)
    query = "select input from examples where spec_id = $id and session = $day"
    day = {"id": spec.spec_id, "day": CALENDAR[9]["session"]}
    text = lake.sql(query, day)["input"][0].as_py()
    assert text == "COMPANY +2.0% -2.0%|+0%|-2.0%|1|0h Why COMPANY and COMPANY's COMPANY fell"


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    words = ("git", "-C", str(folder), *named, *words)
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_manifest_names_the_commit_or_the_files_of_the_code(tmp_path: Path) -> None:
    """Else a rebuild with other bytes could not say that the code is another one."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    root = tmp_path / "checkout"
    module = root / "tasks" / "one.py"
    module.parent.mkdir(parents=True)
    module.write_text("1\n")
    named = code_version.__wrapped__  # without its memory
    release, _, first = named(root).partition("+")
    assert first.startswith("code.")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "of somebody else")
    assert named(root) == f"{release}+{first}"
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "ours")
    assert named(root) == f"{release}+g{git(root, 'rev-parse', 'HEAD')[:12]}"
    module.write_text("2\n")
    assert named(root).endswith(".dirty")
    shutil.rmtree(root / ".git")
    assert named(root) != f"{release}+{first}"
