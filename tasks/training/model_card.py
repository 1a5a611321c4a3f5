"""Model card and manifest of an adapter: what stays of a training run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.training.job import FinetuneResult
from tasks.training.recipe import Recipe
from warehouse.storage.atomic import file_sha256, write_text

CARD = "README.md"
"""The file's name, which is where the hub looks for it."""
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of the model on a split, with the ends of its interval or None."""

    metric: str
    value: float
    ci_low: float | None = None
    ci_high: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found of a model on one split of its data set.

    `verdict`: what may be claimed, as Markdown. `synthetic`: the headlines were made up.
    """

    split: str
    n_examples: int
    figures: tuple[Figure, ...]
    verdict: str
    synthetic: bool


def write_artefact(result: FinetuneResult, recipe: Recipe) -> None:
    """Write the card and then manifest.json into the adapter's folder.

    The manifest vouches for every other file; the card is written again by an evaluation.
    """
    write_text(result.path / CARD, model_card(result, recipe))
    files = sorted(p for p in result.path.glob("*") if p.is_file() and p.suffix != ".log")
    manifest = {
        **result.model_dump(mode="json", exclude={"path", "scores", "kind"}),
        "files": {p.name: file_sha256(p) for p in files if p.name not in {"manifest.json", CARD}},
    }
    write_text(result.path / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def evaluated_card(folder: Path, evaluated: Evaluated) -> str | None:
    """Write the card in an adapter's folder again, with what an evaluation found; returns it.

    None, and nothing is written, where the folder holds no result of a training run.
    """
    found = folder / "result.json"
    if not found.is_file():
        return None
    result = FinetuneResult.model_validate_json(found.read_bytes())
    text = model_card(result, Recipe.model_validate(result.recipe), evaluated)
    write_text(folder / CARD, text)
    return text


def model_card(result: FinetuneResult, recipe: Recipe, evaluated: Evaluated | None = None) -> str:
    """The card in the hub's format: YAML header, what it is, how it was made, how good it is.

    Names of others stand in code alone, so that none of them is read as Markdown. The same
    arguments give the same text.
    """
    metrics = result.metrics
    header = yaml.safe_dump(_header(result, recipe, evaluated), sort_keys=False)
    made = {
        "recipe": recipe.name,
        "base model": recipe.base.name,
        "labels": [recipe.prompt.up, recipe.prompt.down],
        "seed": result.seed,
        "device": result.environment["device"],
        "dtype": result.environment["dtype"],
    }
    before, after = metrics["validation_before"], metrics["validation_after"]
    losses = [
        (title, before[key], after[key])
        for key, title in (
            ("label_ce", "label tokens"),
            ("completion_ce", "whole completion"),
            ("pair_ce", "the label, of the two allowed"),
        )
    ]
    parts = [
        f"---\n{header}---",
        f"# Model {result.model_id} on data set {result.dataset_id}",
        *(_SYNTHETIC if evaluated and evaluated.synthetic else ()),
        f"A LoRA adapter (rank {recipe.lora.r}) that continues a prompt of a ticker's headlines "
        "with one of two labels: the direction of the price over the label window of the data set.",
        # JSON keeps every text on one line, so none can end the block.
        f"```json\n{json.dumps(made, indent=2)}\n```",
        "Read P(up) from the likelihoods of the two labels at the end of the prompt, not from "
        f"generated text. Validation cross-entropy in nats per row, on "
        f"{metrics['validation_rows']} rows:",
        _table(("on", "before", "after"), losses),
        f"Trained on {metrics['train_rows']} rows in {metrics['steps']} steps "
        f"({metrics['train_seconds']:.0f} s, {metrics['tokens_per_second']:.0f} tokens/s), with "
        "the loss on the completion alone. The full recipe and all versions are in manifest.json.",
        "## Evaluation",
        *_evaluation(evaluated),
        "## Intended use",
        "Research on whether headlines say anything of the price that follows them, on prompts "
        "worded as those of the data set are.",
        "## Limits",
        "A lower cross-entropy is no evidence of an edge in a market. What a verdict says holds "
        "for the sessions it was made on. This is not investment advice.",
    ]
    return "\n\n".join(parts) + "\n"


_SYNTHETIC = (
    "**Synthetic.** The headlines it learned from are made up: what it knows says nothing of a "
    "real market.",
)


def _header(result: FinetuneResult, recipe: Recipe, evaluated: Evaluated | None) -> dict[str, Any]:
    licence = recipe.base.licence.lower()
    known = _LICENCE.fullmatch(licence) is not None
    synthetic = ["synthetic"] if evaluated and evaluated.synthetic else []
    header: dict[str, Any] = {
        "base_model": recipe.base.name,
        "library_name": "peft",
        "license": licence if known else "other",
        **({} if known else {"license_name": recipe.base.licence}),
        "language": ["en"],
        "datasets": [result.dataset_id],
        "tags": [*synthetic, "lora", "newsvane", "stock-direction"],
    }
    if evaluated is not None:
        header["metrics"] = [figure.metric for figure in evaluated.figures]
        header["model-index"] = [_index(result, evaluated)]
    return header


def _index(result: FinetuneResult, evaluated: Evaluated) -> dict[str, Any]:
    dataset = {"name": result.dataset_id, "type": result.dataset_id, "split": evaluated.split}
    figures = [{"type": one.metric, "value": round(one.value, 6)} for one in evaluated.figures]
    return {
        "name": result.model_id,
        "results": [
            {"task": {"type": "text-classification"}, "dataset": dataset, "metrics": figures}
        ],
    }


def _evaluation(evaluated: Evaluated | None) -> list[str]:
    if evaluated is None:
        return ["Not evaluated yet: `newsvane evaluate` compares it with its baselines."]
    rows = [(one.metric, one.value, one.ci_low, one.ci_high) for one in evaluated.figures]
    return [
        f"On {evaluated.n_examples:,} examples of the split `{evaluated.split}`, in the model's "
        "own metrics:",
        _table(("metric", "value", "from", "to"), rows),
        evaluated.verdict,
    ]


def _table(head: Sequence[str], rows: Sequence[tuple[str, *tuple[float | None, ...]]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, *values in rows:
        shown = ["-" if value is None else f"{value:.4f}" for value in values]
        lines.append(f"| {' | '.join([name, *shown])} |")
    return "\n".join(lines)
