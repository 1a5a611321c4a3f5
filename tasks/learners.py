"""Learners behind one signature: fit on the first table, P(up) for each of the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.metrics import Floats
from tasks.evaluation.spec import TFIDF_LOGISTIC
from tasks.training.job import FinetuneJob, split_path
from tasks.training.process import OnProgress, run_job
from tasks.training.recipe import Recipe

Learner = Callable[[pa.Table, Sequence[pa.Table]], list[Floats]]


def tfidf_learner(train: pa.Table, tests: Sequence[pa.Table]) -> list[Floats]:
    """The reference learner, alone: TF-IDF and logistic regression on the column `input`."""
    fitted = fit_baselines(train).fitted[TFIDF_LOGISTIC]
    return [fitted(test) for test in tests]


def finetuned_learner(
    recipe: Recipe,
    *,
    folder: Path,
    cache: Path,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Learner:
    """A language model fine-tuned by `recipe`, in its own process.

    The last tenth of the training sessions is its validation split. `folder` takes the splits
    (one sub-folder per content) and the adapters; `cache` is where base weights are kept.
    """

    def learn(train: pa.Table, tests: Sequence[pa.Table]) -> list[Floats]:
        session = train["session"].to_numpy()
        days = np.unique(session)
        held = pa.array(session >= days[-max(1, len(days) // 10)])
        everything = pa.concat_tables(
            [_rows(test, recipe, f"{k}/") for k, test in enumerate(tests)]
        )
        splits = {
            "train": _rows(train.filter(pc.invert(held)), recipe),
            "validation": _rows(train.filter(held), recipe),
            "test": everything,
        }
        place = folder / "splits" / _fingerprint(splits)
        place.mkdir(parents=True, exist_ok=True)
        for name, rows in splits.items():
            pq.write_table(rows, split_path(place, name))
        job = FinetuneJob(
            recipe=recipe,
            dataset=place,
            output=place / "models",
            cache=cache,
            seed=seed,
            score=("test",),
        )
        result = run_job(job, on_progress)
        (scored,) = [score for score in result.scores if score.model_id == result.model_id]
        p_up = pq.read_table(scored.path, columns=["p_up"])["p_up"].to_numpy()
        return np.split(p_up, np.cumsum([test.num_rows for test in tests])[:-1])

    return learn


def _rows(examples: pa.Table, recipe: Recipe, prefix: str = "") -> pa.Table:
    """The three columns training reads; the prefix keeps repeated examples apart."""
    ids = pc.binary_join_element_wise(prefix, examples["example_id"].cast(pa.string()), "")
    words = pc.if_else(examples["label_up"], recipe.prompt.up, recipe.prompt.down)
    return pa.table({"example_id": ids, "input": examples["input"], "output": words})


def _fingerprint(splits: dict[str, pa.Table]) -> str:
    digest = hashlib.sha256()
    for rows in splits.values():
        for column in rows.columns:
            digest.update("\x1f".join(column.to_pylist()).encode())
            digest.update(b"\x1e")
    return digest.hexdigest()[:16]
