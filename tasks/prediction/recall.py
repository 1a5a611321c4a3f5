"""Recall probe: a base model asked how test sessions ended, with ticker and date alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.render import EXAMPLE_FIELDS, RenderSpec, positional
from tasks.evaluation.evaluate import ROWS, Key, metric_rows
from tasks.evaluation.intervals import Interval
from tasks.evaluation.memory import RECALL, THROUGH, Memory, recall_by_slice, through_memory
from tasks.evaluation.metrics import Floats
from tasks.evaluation.spec import EvaluationSpec
from tasks.evaluation.verdict import WHOLE
from tasks.prediction.predictors import LanguageModel, Scorer, write_examples
from tasks.training.recipe import Recipe
from warehouse.lake import Lake
from warehouse.tables import predictions as table


@dataclass(frozen=True, slots=True)
class Recall:
    """What one base model answered without news on a sample of the test examples.

    `rows`: which of the examples, by position; `frame` holds them; `p_up` is aligned to it.
    """

    rows: np.ndarray
    frame: pa.Table
    p_up: Floats

    def memories(
        self, predictions: Mapping[str, Any], names: tuple[str, ...], spec: EvaluationSpec
    ) -> dict[str, Memory]:
        """Of each predictor in `names`: what its base recalls, and what of its skill that is.

        `predictions`: P(up) aligned to all test examples.
        """
        recall = recall_by_slice(self.frame, self.p_up, spec)[WHOLE][0]
        return {
            name: Memory(
                recall,
                through_memory(
                    self.frame, np.asarray(predictions[name])[self.rows], self.p_up, spec
                ),
                self.frame.num_rows,
            )
            for name in names
        }

    def table(self, spec: EvaluationSpec) -> pa.Table:
        """The AUROC by slice: slice, auroc, ci_low, ci_high, examples, sessions."""
        slices = recall_by_slice(self.frame, self.p_up, spec)
        rows = [
            {
                "slice": part,
                "auroc": auroc.value,
                "ci_low": auroc.low,
                "ci_high": auroc.high,
                "examples": examples,
                "sessions": sessions,
            }
            for part, (auroc, examples, sessions) in slices.items()
        ]
        return pa.Table.from_pylist(rows)

    def metric_rows(self, memories: Mapping[str, Memory], spec: EvaluationSpec) -> pa.Table:
        """Rows of the evaluation table: the AUROC by slice, and on the whole what goes through."""
        records: list[dict[str, Any]] = []
        slices = recall_by_slice(self.frame, self.p_up, spec)
        for predictor, memory in memories.items():
            for part, (auroc, examples, sessions) in slices.items():
                found: dict[Key, Interval] = {(RECALL, None): auroc}
                if part == WHOLE:
                    found[THROUGH, None] = memory.through
                records += metric_rows(part, predictor, found, examples=examples, sessions=sessions)
        return pa.Table.from_pylist(records, schema=ROWS)


def probe(
    lake: Lake,
    scorer: Scorer,
    recipe: Recipe,
    manifest: DatasetManifest,
    test: pa.Table,
    spec: EvaluationSpec,
    *,
    root: Path,
    now: datetime,
) -> Recall | None:
    """Ask the recipe's base model about at most `spec.recall_rows` of the test examples.

    The answers are stored as predictions of kind recall at `now` (UTC), by base model, way of
    asking and data set, and are not asked for again. Prompts are written below `root`. None where
    the spec asks about no example.
    """
    rows = sampled(test.num_rows, spec)
    if not len(rows):
        return None
    frame, render = test.take(rows), manifest.spec.render.without_news()
    name = probe_name(recipe, render)
    known = table.read_predictions(lake, manifest.dataset_id, table.RECALL)
    known = known.filter(
        (pc.field("predictor") == name) & (pc.field("spec_id") == manifest.spec_id)
    )
    place = pc.index_in(frame["example_id"], known["example_id"])
    if not place.null_count:
        return Recall(rows, frame, known["p_up"].to_numpy()[place.to_numpy()])
    template = positional(render.template, EXAMPLE_FIELDS)
    prompts = table.recall_prompts(lake, manifest.spec_id, template, frame["example_id"])
    folder = write_examples(root, {"test": prompts}, render.answers)
    found = scorer.p_up({name: LanguageModel(recipe)}, folder, "test", prompts)
    table.store_backtest(
        lake,
        frame,
        found,
        dataset_id=manifest.dataset_id,
        model_ids={},
        now=now,
        kind=table.RECALL,
    )
    return Recall(rows, frame, found[name])


def sampled(examples: int, spec: EvaluationSpec) -> np.ndarray:
    """Positions of the examples that are asked about, ascending: all, or a draw by the seed."""
    if examples <= spec.recall_rows:
        return np.arange(examples)
    draw = np.random.default_rng(spec.seed).permutation(examples)
    return np.sort(draw[: spec.recall_rows])


def probe_name(recipe: Recipe, render: RenderSpec) -> str:
    """The predictor's name of a base model's recall: `smollm2-135m@0123456789ab`.

    The hash is of the weights, the labels and the wording, so another way of asking is another.
    """
    identity = [recipe.canonical("base", "prompt", "compute"), render.template]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return f"{recipe.base.name}@{hashlib.sha256(text.encode()).hexdigest()[:12]}"
