"""Back-test of one data set: its examples, its predictors on them, their robustness checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.dataset.build import refresh_examples, write_dataset
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SPLITS, SplitSpec, WalkForwardSpec, walk_forward
from tasks.evaluation.abstention import abstaining, choose_abstention
from tasks.evaluation.calibration import fit_calibration
from tasks.evaluation.memory import Memory
from tasks.evaluation.metrics import Floats
from tasks.evaluation.ranking import ranked
from tasks.evaluation.robustness import MASKED, calibrated, illustrated, variant
from tasks.evaluation.spec import (
    FINE_TUNED,
    REFERENCE,
    TEXT_PREDICTORS,
    ZERO_SHOT,
    EvaluationError,
    EvaluationSpec,
)
from tasks.prediction.predictors import EvaluationInputError, Predictors, write_examples
from tasks.prediction.recall import probe
from tasks.training.recipe import Recipe
from warehouse.lake import Lake
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame
from warehouse.tables.models import Model, read_models

MASK = "COMPANY"
"""The word in place of tickers and names."""


def split_frame(lake: Lake, manifest: DatasetManifest, folder: Path, split: str) -> pa.Table:
    """The labelled examples of one split as an evaluation wants them.

    Raises EvaluationInputError when there is none.
    """
    rows = load_split(folder / f"{split}.parquet")
    if not rows.num_rows:
        raise EvaluationInputError(
            f"The {split} split of data set {manifest.dataset_id} is empty; expected at least one "
            "labelled example. Widen [dataset.split] or ingest more, and build it again."
        )
    return evaluation_frame(lake, manifest.spec_id, rows["example_id"])


def chosen_model(
    lake: Lake, dataset_id: str, model_id: str | None, *, preferred: str
) -> Model | None:
    """The model named `model_id`; else `preferred` if trained on the data set, else its newest.

    Raises EvaluationInputError for an unknown id.
    """
    models = read_models(lake)
    if model_id is None:
        trained = [model for model in models if model.dataset_id == dataset_id]
        trained.sort(key=lambda model: model.model_id != preferred)
        return next(iter(trained), None)
    named = next((model for model in models if model.model_id == model_id), None)
    if named is None:
        known = ", ".join(model.model_id for model in models) or "none"
        raise EvaluationInputError(
            f"The warehouse knows no model {model_id!r}; it knows: {known}. "
            "Fine-tune one with `newsvane finetune`."
        )
    return named


def with_base_cutoff(frame: pa.Table, cutoff: date) -> pa.Table:
    """Mark each example as before or after the base model's training data end.

    A base model may have read what happened until `cutoff`, which is an upper bound where its
    publisher gives none; only the slice `base_cutoff=after` is free of its memory.
    """
    after = pc.greater(frame["session"], pa.scalar(cutoff))
    return frame.append_column("base_cutoff", pc.if_else(after, "after", "before"))


def with_cutoff_of(frame: pa.Table, recipes: Iterable[Recipe]) -> pa.Table:
    """Examples before and after the latest knowledge cutoff of the recipes' bases, if known."""
    known = [cut for recipe in recipes if (cut := recipe.base.knowledge_cutoff) is not None]
    return with_base_cutoff(frame, max(known)) if known else frame


@dataclass(frozen=True, slots=True)
class Checks:
    """Robustness checks of `predictors` on one data set's test examples and predictions.

    `folder`: the data set's. Each check returns tables of evaluation rows, none where it does not
    apply.
    """

    manifest: DatasetManifest
    folder: Path
    predictors: Predictors
    test: pa.Table
    predictions: Mapping[str, Any]
    spec: EvaluationSpec

    def illustration(self) -> list[pa.Table]:
        """What the text predictors' calls would have earned; none for an untradable label."""
        if not self.manifest.tradable:
            return []
        return [
            illustrated(self.test, name, self.predictions[name], self.spec)
            for name in TEXT_PREDICTORS
            if name in self.predictions
        ]

    def memory(
        self, lake: Lake, root: Path, now: datetime
    ) -> tuple[dict[str, Memory], list[pa.Table]]:
        """What the language models' base recalls of the test sessions without news, by predictor.

        Its answers are stored at `now` (UTC) and asked for once; see `probe`. Nothing where no
        language model is judged.
        """
        models = self.predictors.models
        recipe = next((model.recipe for model in models.values()), None)
        if recipe is None:
            return {}, []
        inputs = (self.manifest, self.test, self.spec)
        recall = probe(lake, self.predictors.scorer, recipe, *inputs, root=root, now=now)
        if recall is None:
            return {}, []
        found = recall.memories(self.predictions, tuple(models), self.spec)
        return found, [recall.metric_rows(found, self.spec)]

    def ranking(self) -> list[pa.Table]:
        """How each predictor ranks the names of a session, and how much of that is traded."""
        return [ranked(self.test, name, p_up, self.spec) for name, p_up in self.predictions.items()]

    def validated(self, lake: Lake) -> list[pa.Table]:
        """What is fitted on the validation split alone, for each fitted predictor.

        Calibrated, beside its raw P(up); and making no call where it is too unsure. None when that
        split is empty or holds one outcome only: then there is nothing to fit.
        """
        if not self.manifest.splits["validation"].rows:
            return []
        validation = split_frame(lake, self.manifest, self.folder, "validation")
        if len(validation["label_up"].unique()) < 2:
            return []
        fitted = self.predictors.only((FINE_TUNED, *REFERENCE, ZERO_SHOT))
        found = []
        for name, p_up in fitted.p_up(validation, self.folder, "validation").items():
            tested = (self.test, name, self.predictions[name])
            mended = fit_calibration(validation["label_up"].to_numpy(), p_up, self.spec.calibration)
            found.append(calibrated(*tested, mended, self.spec))
            chosen = choose_abstention(validation, p_up, self.spec.abstention)
            found.append(abstaining(*tested, chosen, self.spec))
        return found

    def masking(self, lake: Lake, root: Path, now: datetime) -> list[pa.Table]:
        """Text predictors asked again with every company's name masked.

        The masked examples are built at `now` (UTC) beside the plain ones, under a spec of their
        own, and written below `root`. None when the data set is masked already.
        """
        render = self.manifest.spec.render
        if render.mask is not None:
            return []
        masked_render = render.model_copy(update={"mask": MASK})
        spec = self.manifest.spec.model_copy(update={"render": masked_render})
        refresh_examples(lake, spec, now=now)
        masked = evaluation_frame(lake, spec.spec_id, self.test["example_id"])
        folder = write_examples(root, {"test": masked}, render.answers)
        found = self.predictors.only(TEXT_PREDICTORS).p_up(masked, folder, "test")
        return [
            variant(self.test, name, self.predictions[name], p_up, MASKED, self.spec)
            for name, p_up in found.items()
        ]


@dataclass(frozen=True, slots=True)
class Fold:
    """One walk-forward fold: test examples and each predictor's P(up), fitted on earlier sessions.

    `trained_until` is the last session any predictor of the fold was fitted or tuned on.
    """

    name: str
    trained_until: date
    frame: pa.Table
    predictions: Mapping[str, Any]


def pooled(folds: Sequence[Fold]) -> tuple[pa.Table, dict[str, Floats]]:
    """The folds' test examples and predictions as one, with the column `fold` for its slices.

    Raises EvaluationError when a fold was trained on its own test sessions, when two folds test
    the same session, or when the folds do not have the same predictors.
    """
    if not folds:
        raise EvaluationError("Walk-forward got no fold; expected at least one.")
    seen: dict[Any, str] = {}
    for fold in folds:
        sessions = pc.unique(fold.frame["session"]).to_pylist()
        if min(sessions) <= fold.trained_until:
            raise EvaluationError(
                f"Fold {fold.name!r} was trained until {fold.trained_until} and tests "
                f"{min(sessions)}; a test session must come after all training."
            )
        shared = sorted(set(sessions) & seen.keys())
        if shared:
            raise EvaluationError(
                f"Folds {seen[shared[0]]!r} and {fold.name!r} both test {shared[0]}; "
                "pooled rows would count twice. Make test spans disjoint."
            )
        if fold.predictions.keys() != folds[0].predictions.keys():
            raise EvaluationError(
                f"Fold {fold.name!r} has predictors {sorted(fold.predictions)}, the first has "
                f"{sorted(folds[0].predictions)}; expected the same."
            )
        seen |= dict.fromkeys(sessions, fold.name)
    frames = [
        fold.frame.append_column("fold", pa.array([fold.name] * fold.frame.num_rows))
        for fold in folds
    ]
    together = {
        name: np.concatenate([np.asarray(fold.predictions[name]) for fold in folds])
        for name in folds[0].predictions
    }
    return pa.concat_tables(frames), together


def fold_splits(
    manifest: DatasetManifest, folder: Path, spec: WalkForwardSpec
) -> tuple[SplitSpec, ...]:
    """The walk-forward folds over a data set's sessions, with its own purge and embargo.

    Raises EvaluationInputError when the sessions are too few.
    """
    parts = [load_split(folder / f"{name}.parquet")["session"] for name in SPLITS]
    sessions = sorted(set().union(*(part.to_pylist() for part in parts)))
    try:
        return walk_forward(sessions, spec, manifest.spec.split)
    except ValueError as error:
        raise EvaluationInputError(
            f"Data set {manifest.dataset_id} cannot be walked through: {error} The folds are set "
            "in [walk_forward]: train, validation and test, in sessions."
        ) from error


def cut_fold(
    lake: Lake, manifest: DatasetManifest, split: SplitSpec, root: Path
) -> tuple[DatasetManifest, Path, date]:
    """One fold's data set below `root`, its folder, and the last session its models learn from."""
    spec = manifest.spec.model_copy(update={"split": split})
    cut, folder = write_dataset(lake, spec, root, lake.snapshot_id())
    days = [cut.splits[name].last_session for name in ("train", "validation")]
    return cut, folder, max(day for day in days if day is not None)


def span_of(frame: pa.Table) -> str:
    """`2012-09-04 to 2012-10-01`, the sessions of a fold's test examples."""
    return f"{pc.min(frame['session']).as_py()} to {pc.max(frame['session']).as_py()}"
