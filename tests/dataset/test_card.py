"""A card that the hub cannot read, or that hides that its headlines are made up, misleads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from tasks.dataset.build import assemble_dataset
from tasks.dataset.rebuild import read_card, rebuild_dataset
from tasks.dataset.spec.card import CARD, card
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.manifest import DatasetManifest, SplitEntry
from tasks.dataset.spec.split import SplitSpec
from tests.dataset.test_assemble_dataset import NOW, twenty_sessions
from warehouse.lake import Lake

HOSTILE = (
    "</script><b>",
    "a: [b",
    "---\nlicense: mit",
    "# h|x|\n\n---",
    "`$(x)`",
    "\u202e\u2028\x85-",
)


def manifest_of(**changed: Any) -> DatasetManifest:
    return DatasetManifest(
        **{
            "dataset_id": "0123456789abcdef",
            "spec_id": "s",
            "spec": DatasetSpec(),
            "snapshot_id": 1,
            "code_version": "0.1",
            "tradable": True,
            "splits": {"train": SplitEntry(rows=1200, up=600)},
            "dropped": {},
            **changed,
        }
    )


def parsed(text: str) -> list[Any]:
    """The tokens of the card's body as CommonMark, with tables."""
    return MarkdownIt("commonmark").enable("table").parse(text.partition("\n---\n")[2])


def loaded(text: str, folder: Path) -> DatasetCard:
    path = folder / CARD
    path.write_text(text, encoding="utf-8")
    return DatasetCard.load(path)


def test_built_card_is_read_by_the_hub_and_shows_training_rows_alone(
    lake: Lake, fill: Any, tmp_path: Path
) -> None:
    sessions = twenty_sessions(fill)
    spec = DatasetSpec(split=SplitSpec(final=3))
    manifest = assemble_dataset(lake, spec, tmp_path, now=NOW)
    folder = tmp_path / manifest.dataset_id
    read = DatasetCard.load(folder / CARD)
    data = read.data.to_dict()
    assert data["license"] == "other"
    assert data["size_categories"] == ["n<1K"]
    assert data["task_categories"] == ["text-classification", "text-generation"]
    (config,) = data["configs"]
    named = [name for part in config["data_files"] for name in part["path"]]
    assert all((folder / name).is_file() for name in named)
    assert "final" not in {part["split"] for part in config["data_files"]}
    rows = (folder / "train.jsonl").read_text().splitlines()[:3]
    assert [json.loads(row)["meta"]["example_id"] in read.text for row in rows] == [True] * 3
    assert str(sessions[-1]) not in read.text.partition("first rows")[2]
    assert read_card(folder, manifest) == (folder / CARD).read_text("utf-8")
    again = rebuild_dataset(lake.spec, manifest, root=tmp_path / "again")
    assert again.identical
    (copy,) = (tmp_path / "again").rglob(CARD)
    assert copy.read_bytes() == (folder / CARD).read_bytes()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_texts_stay_what_they_are(name: str, tmp_path: Path) -> None:
    base = DatasetSpec()
    render = base.render.model_copy(update={"template": f"```\n{name}\n````\n{{headlines}}"})
    spec = base.model_copy(update={"name": name, "render": render})
    manifest = manifest_of(spec=spec, granularity={name: {"second": 3}})
    text = card(manifest, synthetic={name: 1.0}, samples=[{"input": f"```\n{name}"}])
    data = loaded(text, tmp_path).data.to_dict()
    assert data["pretty_name"] == f"Stock direction from headlines ({name})"
    assert data["license"] == "other"
    assert data["tags"][0] == "synthetic"
    template, sample = (one for one in parsed(text) if one.type == "fence")
    assert template.content.split() == render.template.split()  # its own fences end nothing
    assert json.loads(sample.content) == {"input": f"```\n{name}"}
    kinds = {inner.type for one in parsed(text) for inner in one.children or ()}
    assert not kinds & {"html_inline", "link_open", "code_inline", "image"}
    assert [one.tag for one in parsed(text) if one.type == "heading_open"] == ["h1"] + 3 * ["h2"]
    assert text == card(manifest, synthetic={name: 1.0}, samples=[{"input": f"```\n{name}"}])


def test_made_up_headlines_are_said_first_and_their_share_where_some_are_real() -> None:
    text = card(manifest_of(), synthetic={"wire": 1.0, "mixed": 0.25, "real": 0.0})
    first = text.partition("\n---\n")[2].split("\n\n")[1]
    assert first.startswith("**Synthetic.** Headlines of mixed (25.0% of them), wire are made up")
    assert "real" not in first.partition("are made up")[0]
    plain = card(manifest_of(), synthetic={"real": 0.0})
    assert "ynthetic" not in plain
    assert "\n- 1K<n<10K\n" in plain


def test_card_is_no_part_of_the_identity(lake: Lake, fill: Any, tmp_path: Path) -> None:
    twenty_sessions(fill)
    first = assemble_dataset(lake, DatasetSpec(), tmp_path / "a", now=NOW)
    lake._connection.execute("UPDATE headlines SET synthetic = NOT synthetic")
    other = assemble_dataset(lake, DatasetSpec(), tmp_path / "b", now=NOW)
    assert other.dataset_id == first.dataset_id
    cards = [(tmp_path / root / first.dataset_id / CARD).read_text() for root in "ab"]
    assert ("ynthetic" in cards[0]) != ("ynthetic" in cards[1])
