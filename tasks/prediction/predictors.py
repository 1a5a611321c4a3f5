"""Predictors: baselines and language models behind one signature, asked about any split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.evaluation.baselines import Baselines, fit_baselines
from tasks.evaluation.metrics import Floats
from tasks.evaluation.spec import FINE_TUNED, TFIDF_LOGISTIC, ZERO_SHOT, EvaluationError
from tasks.training.job import (
    FinetuneJob,
    FinetuneResult,
    OnProgress,
    ScoreJob,
    ScoreResult,
    Split,
    split_path,
)
from tasks.training.process import run_job, run_scores
from tasks.training.recipe import Recipe
from warehouse.tables.models import Model


class EvaluationInputError(RuntimeError):
    """There is nothing to evaluate as asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A recipe's base model, with the adapter in a folder or without one (zero shot)."""

    recipe: Recipe
    adapter: Path | None = None

    @classmethod
    def of(cls, model: Model) -> LanguageModel:
        """The registered model."""
        return cls(Recipe.model_validate(model.recipe), model.path)


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores splits by label likelihood in a process of its own; scores that exist are reused.

    Scores land below `output`; converted base weights are kept in `cache`.
    """

    output: Path
    cache: Path
    on_progress: OnProgress | None = None

    def p_up(
        self, models: Mapping[str, LanguageModel], folder: Path, split: Split, frame: pa.Table
    ) -> dict[str, Floats]:
        """P(up) of each model on the split in `folder`, in the order of `frame`'s example_ids.

        Raises EvaluationInputError when the scores are not of `frame`'s examples.
        """
        jobs = [
            ScoreJob(
                recipe=model.recipe,
                dataset=folder,
                output=self.output,
                cache=self.cache,
                split=split,
                adapter=model.adapter,
            )
            for model in models.values()
        ]
        found = run_scores(jobs, self.on_progress)
        wanted = frame["example_id"].to_pylist()
        for scored in found:
            ids = pq.read_table(scored.path, columns=["example_id"])["example_id"]
            if ids.to_pylist() != wanted:
                raise EvaluationInputError(
                    f"The scores in {scored.path} are not those of this {split} split; delete "
                    "that file and evaluate again."
                )
        return {name: _column(s, "p_up") for name, s in zip(models, found, strict=True)}

    def upcoming(self, frame: pa.Table, models: Mapping[str, LanguageModel]) -> dict[str, Floats]:
        """P(up) of each model on examples of no data set (example_id, input), in their order."""
        rows = frame.select(["example_id", "input"]).append_column(
            "output", pa.array([""] * frame.num_rows, pa.string())
        )
        folder = self.output / "upcoming"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, split_path(folder, "test"))
        return self.p_up(models, folder, "test", frame)


@dataclass(frozen=True, slots=True)
class Predictors:
    """Fitted baselines and language models by predictor name."""

    scorer: Scorer
    baselines: Baselines
    models: Mapping[str, LanguageModel]

    def p_up(self, frame: pa.Table, folder: Path, split: Split) -> dict[str, Any]:
        """P(up) of each on the examples of `frame`, which are those of `folder`'s split."""
        fitted: dict[str, Any] = dict(self.baselines.predict(frame))
        return fitted | self.scorer.p_up(self.models, folder, split, frame)

    def only(self, names: tuple[str, ...]) -> Predictors:
        """Those of these names that are present."""
        fitted = {name: fit for name, fit in self.baselines.fitted.items() if name in names}
        models = {name: model for name, model in self.models.items() if name in names}
        return Predictors(self.scorer, Baselines(fitted), models)


def language_models(
    model: LanguageModel | None, configured: Recipe, *, zero_shot: bool
) -> dict[str, LanguageModel]:
    """The fine-tuned `model` if any, and its untuned base if `zero_shot`.

    Without a model the base is the `configured` recipe's: a model beside another's base would say
    nothing of the fine-tuning.
    """
    found: dict[str, LanguageModel] = {}
    if zero_shot:
        found[ZERO_SHOT] = LanguageModel(model.recipe if model else configured)
    if model is not None:
        found[FINE_TUNED] = model
    return found


def tfidf_text_model(train: pa.Table, tests: Sequence[pa.Table]) -> list[Floats]:
    """The reference model alone: P(up) by TF-IDF and logistic regression on the column `input`."""
    fitted = fit_baselines(train).fitted[TFIDF_LOGISTIC]
    return [fitted(test) for test in tests]


@dataclass
class FinetunedTextModel:
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
        validation = pa.array(session >= days[-max(1, len(days) // 10)])
        numbered = [_renamed(test, f"{number}/") for number, test in enumerate(tests)]
        splits: dict[Split, pa.Table] = {
            "train": train.filter(pc.invert(validation)),
            "validation": train.filter(validation),
            "test": pa.concat_tables(numbered),
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
