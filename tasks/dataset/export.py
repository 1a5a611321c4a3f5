"""A data set in the shapes that fine-tuning tools and benchmarks read."""

from __future__ import annotations

import json
from pathlib import Path

from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SPLITS
from warehouse.lake import Lake
from warehouse.storage.atomic import write_text
from warehouse.tables.datasets import export_lines, load_split

SHAPES = {
    "messages": "dataset_export_messages",
    "completion": "dataset_export_completion",
    "llama_factory": "dataset_export_llama_factory",
    "axolotl": "dataset_export_axolotl",
    "fingpt": "dataset_export_fingpt",
    "pixiu": "dataset_export_pixiu",
}
"""Each shape and the SQL statement that writes it."""

QUESTION = "Will the price go {up} or {down}? Answer with one word."


class ExportError(ValueError):
    """A shape that does not exist, or a folder that is not a data set."""


def export_dataset(lake: Lake, folder: Path, shape: str, out: Path) -> tuple[Path, ...]:
    """Write the data set in `folder` as `out/SPLIT.jsonl` in the shape, and return the files.

    `messages`: {messages: [{role, content}, ...]}. `completion`: {prompt, completion}, the
    completion with its leading blank. `llama_factory`: Alpaca rows and a dataset_info.json.
    `axolotl`: {segments: [{label, text}, ...]}. `fingpt`: {instruction, input, output}. `pixiu`:
    {id, query, answer, text, choices, gold}. The words are those of the data set, unchanged.
    Raises ExportError for another shape or a folder without a manifest.
    """
    if shape not in SHAPES:
        raise ExportError(f"No export shape {shape!r}; expected one of {', '.join(SHAPES)}.")
    if not (folder / "manifest.json").is_file():
        raise ExportError(
            f"{folder} holds no manifest.json; expected the folder of a built data set. "
            "Build one with `newsvane dataset build`."
        )
    manifest = DatasetManifest.model_validate_json((folder / "manifest.json").read_text("utf-8"))
    up, down = manifest.spec.render.answers
    words = {"up": up, "down": down, "question": QUESTION.format(up=up, down=down)}
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for split in SPLITS:
        path = out / f"{split}.jsonl"
        export_lines(lake, load_split(folder / f"{split}.parquet"), SHAPES[shape], words, path)
        written.append(path)
    if shape == "llama_factory":
        columns = {"prompt": "instruction", "query": "input", "response": "output"}
        info = {
            f"newsvane_{split}": {"file_name": f"{split}.jsonl", "columns": columns}
            for split in SPLITS
        }
        write_text(out / "dataset_info.json", json.dumps(info, indent=2) + "\n")
        written.append(out / "dataset_info.json")
    return tuple(written)
