"""Learners behind one signature: fit on the first table, P(up) for each of the others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.metrics import Floats
from tasks.evaluation.spec import TFIDF_LOGISTIC, EvaluationError
from tasks.training.job import (
    FinetuneJob,
    FinetuneResult,
    OnProgress,
    ScoreResult,
    Split,
    split_path,
)
from tasks.training.process import run_job
from tasks.training.recipe import Recipe


def tfidf_learner(train: pa.Table, tests: Sequence[pa.Table]) -> list[Floats]:
    """The reference learner, alone: TF-IDF and logistic regression on the column `input`."""
    fitted = fit_baselines(train).fitted[TFIDF_LOGISTIC]
    return [fitted(test) for test in tests]


@dataclass
class FinetunedLearner:
    """A language model fine-tuned by `recipe`, in its own process.

    The last tenth of the training sessions is its validation split. `folder` takes the splits
    (one sub-folder per content) and the adapters; `cache` is where base weights are kept.
    """

    recipe: Recipe
    folder: Path
    cache: Path
    seed: int = 0
    on_progress: OnProgress | None = None
    _last: tuple[FinetuneJob, FinetuneResult] | None = field(default=None, init=False)

    def __call__(self, train: pa.Table, tests: Sequence[pa.Table]) -> list[Floats]:
        """Fine-tune on `train` (example_id, session, input, label_up) and score each test."""
        job = FinetuneJob(
            recipe=self.recipe,
            dataset=self._written(train, tests),
            output=self.folder / "models",
            cache=self.cache,
            seed=self.seed,
            score=("test",),
        )
        result = run_job(job, self.on_progress)
        self._last = (job, result)
        (scored,) = [score for score in result.scores if score.model_id == result.model_id]
        ends = np.cumsum([test.num_rows for test in tests])[:-1]
        return np.split(_column(scored, "p_up"), ends)

    def base_scores(self) -> tuple[Floats, Floats]:
        """The base model's log-likelihoods of "up" before the last training and after it.

        The second scoring is a process of its own that reads the base weights from the cache,
        attaches the adapter and disables it. Raises EvaluationError when nothing was learned yet.
        """
        if self._last is None:
            raise EvaluationError("Base scores are compared around a fine-tune; run one first.")
        job, result = self._last
        (before,) = [score for score in result.scores if score.model_id != result.model_id]
        disabled = job.score_job("test", result.path).model_copy(update={"adapter_disabled": True})
        after = run_job(disabled, self.on_progress)
        return _column(before, "logp_up"), _column(after, "logp_up")

    def _written(self, train: pa.Table, tests: Sequence[pa.Table]) -> Path:
        session = train["session"].to_numpy()
        days = np.unique(session)
        held = pa.array(session >= days[-max(1, len(days) // 10)])
        asked = [_renamed(test, f"{number}/") for number, test in enumerate(tests)]
        splits: dict[Split, pa.Table] = {
            "train": train.filter(pc.invert(held)),
            "validation": train.filter(held),
            "test": pa.concat_tables(asked),
        }
        words = self.recipe.prompt
        return write_examples(self.folder / "splits", splits, (words.up, words.down))


def write_examples(root: Path, splits: Mapping[Split, pa.Table], answers: tuple[str, str]) -> Path:
    """Write examples (example_id, input, label_up) as splits that training and scoring read.

    `answers`: the words for up and down. Returns a folder below `root` named after the content;
    equal content finds its folder again.
    """
    shaped = {name: _shaped(rows, answers) for name, rows in splits.items()}
    place = root / _fingerprint(shaped)
    place.mkdir(parents=True, exist_ok=True)
    for name, rows in shaped.items():
        pq.write_table(rows, split_path(place, name))
    return place


def _shaped(examples: pa.Table, answers: tuple[str, str]) -> pa.Table:
    """The three columns training reads."""
    columns = {name: examples[name] for name in ("example_id", "input")}
    return pa.table({**columns, "output": pc.if_else(examples["label_up"], *answers)})


def _renamed(examples: pa.Table, prefix: str) -> pa.Table:
    """Only what is written, under ids that keep repeated examples apart."""
    ids = pc.binary_join_element_wise(prefix, examples["example_id"], "")
    return pa.table(
        {"example_id": ids, "input": examples["input"], "label_up": examples["label_up"]}
    )


def _column(scored: ScoreResult, name: str) -> Floats:
    values: Floats = pq.read_table(scored.path, columns=[name])[name].to_numpy()
    return values


def _fingerprint(splits: Mapping[Split, pa.Table]) -> str:
    digest = hashlib.sha256()
    for rows in splits.values():
        for column in rows.columns:
            digest.update("\x1f".join(column.to_pylist()).encode())
            digest.update(b"\x1e")
    return digest.hexdigest()[:16]
