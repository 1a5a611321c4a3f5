"""Baselines: cheap predictors a model must beat, fitted on the training split alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from tasks.evaluation.metrics import Bools, Floats, Ints
from tasks.evaluation.spec import (
    MAJORITY,
    MOMENTUM,
    NUMERIC_LOGISTIC,
    PREVIOUS_DIRECTION,
    TFIDF_LOGISTIC,
    EvaluationError,
)

Predict = Callable[[pa.Table], Floats]


class BaselineSpec(BaseModel):
    """How the baselines are fitted.

    `prior` is the weight, in examples, with which every conditional frequency is drawn towards
    the training share of ups. `momentum_window` counts the ticker's latest known returns.
    `text` names the column the reference model reads: the same text the language model reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prior: float = Field(default=20.0, gt=0.0)
    momentum_window: int = Field(default=5, ge=1)
    text: str = "input"
    ngrams: int = Field(default=2, ge=1, le=4)
    min_documents: int = Field(default=2, ge=1)
    max_terms: int = Field(default=100_000, ge=1)
    inverse_penalty: float = Field(default=1.0, gt=0.0)


@dataclass(frozen=True, slots=True)
class Baselines:
    """Fitted baselines by name; `predict` applies all of them to new examples."""

    fitted: dict[str, Predict]

    def predict(self, frame: pa.Table) -> dict[str, Floats]:
        """P(up) of each baseline, aligned to the rows of `frame`."""
        return {name: predict(frame) for name, predict in self.fitted.items()}


def fit_baselines(train: pa.Table, spec: BaselineSpec | None = None) -> Baselines:
    """Fit every baseline the training rows have columns for.

    `train`: label_up (bool); with previous_return (and ticker, session) also previous_direction
    and momentum; with the text column also tfidf_logistic; with own columns (features) also
    numeric_logistic. No other split is ever looked at.
    Raises EvaluationError when there is no row, no label, or a label is null.
    """
    spec = spec or BaselineSpec()
    if not train.num_rows or "label_up" not in train.column_names or train["label_up"].null_count:
        raise EvaluationError(
            f"Baselines need labelled training rows; got {train.num_rows} rows with columns "
            f"{train.column_names}. Check that the train split is not empty."
        )
    label = np.asarray(train["label_up"].to_numpy(), dtype=bool)
    share = (label.sum() + spec.prior / 2) / (len(label) + spec.prior)
    fitted: dict[str, Predict] = {MAJORITY: lambda frame: np.full(frame.num_rows, share)}
    columns = set(train.column_names)
    if "previous_return" in columns:
        fitted[PREVIOUS_DIRECTION] = _previous_direction(train, label, share, spec)
    if {"previous_return", "ticker", "session"} <= columns:
        fitted[MOMENTUM] = _momentum(train, label, spec)
    if spec.text in columns:
        fitted[TFIDF_LOGISTIC] = _tfidf_logistic(train, label, share, spec)
    if {"features", "previous_return", "ticker", "session"} <= columns and _own(train).shape[1]:
        fitted[NUMERIC_LOGISTIC] = _numeric_logistic(train, label, share, spec)
    return Baselines(fitted)


def _previous_direction(train: pa.Table, label: Bools, share: float, spec: BaselineSpec) -> Predict:
    """P(up | the ticker's last finished session rose, fell, or neither), smoothed."""
    direction = _sign(_returns(train))
    rows = np.bincount(direction + 1, minlength=3)
    ups = np.bincount(direction + 1, weights=label, minlength=3)
    p_up = (ups + spec.prior * share) / (rows + spec.prior)
    return lambda frame: np.asarray(p_up[_sign(_returns(frame)) + 1], dtype=np.float64)


def _momentum(train: pa.Table, label: Bools, spec: BaselineSpec) -> Predict:
    """Always bets that the recent move goes on, as sure as the training rows warrant."""
    trend = _sign(_trend(train, spec.momentum_window))
    moved = trend != 0
    goes_on = np.sum(label[moved] == (trend[moved] > 0))
    rate = (goes_on + spec.prior / 2) / (moved.sum() + spec.prior)
    # A reversal regime would turn the bet round; previous_direction already covers that.
    confidence = max(float(rate) - 0.5, 1e-3)
    window = spec.momentum_window
    return lambda frame: np.float64(0.5) + confidence * _sign(_trend(frame, window))


def _tfidf_logistic(train: pa.Table, label: Bools, share: float, spec: BaselineSpec) -> Predict:
    """TF-IDF terms and an L2 logistic regression: no randomness, so the same fit every time."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    constant: Predict = lambda frame: np.full(frame.num_rows, share)  # noqa: E731
    if label.all() or not label.any():
        return constant
    terms = TfidfVectorizer(
        ngram_range=(1, spec.ngrams),
        min_df=min(spec.min_documents, train.num_rows),
        max_features=spec.max_terms,
        sublinear_tf=True,
    )
    model = make_pipeline(terms, LogisticRegression(C=spec.inverse_penalty, max_iter=1000))
    try:
        model.fit(train[spec.text].to_pylist(), label)
    except ValueError as error:
        if "vocabulary" not in str(error) and "no terms remain" not in str(error).lower():
            raise
        return constant
    return lambda frame: np.asarray(model.predict_proba(frame[spec.text].to_pylist())[:, 1])


def _numeric_logistic(train: pa.Table, label: Bools, share: float, spec: BaselineSpec) -> Predict:
    """An L2 logistic regression on the returns the price baselines read, and own numeric columns.

    Standardised by mean and deviation of the training rows; what is not known is their mean, and
    its absence a column of its own.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if label.all() or not label.any():
        return lambda frame: np.full(frame.num_rows, share)
    model = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=spec.inverse_penalty, max_iter=1000),
    )
    model.fit(_numbers(train, spec), label)
    return lambda frame: np.asarray(model.predict_proba(_numbers(frame, spec))[:, 1])


def _numbers(frame: pa.Table, spec: BaselineSpec) -> Floats:
    prices = (_returns(frame), _trend(frame, spec.momentum_window))
    return np.column_stack([*prices, _own(frame)])


def _own(frame: pa.Table) -> Floats:
    """The numbers of own columns, a row per example; NaN where not known, or a text."""
    lists = frame["features"].combine_chunks()
    if not frame.num_rows or lists.null_count:
        return np.empty((frame.num_rows, 0))
    numbers = pc.struct_field(lists.flatten(), "number").cast(pa.float64())
    values: Floats = numbers.to_numpy(zero_copy_only=False).reshape(frame.num_rows, -1)
    return values


def _returns(frame: pa.Table) -> Floats:
    returns: Floats = frame["previous_return"].cast(pa.float64()).to_numpy()
    return np.nan_to_num(returns)


def _trend(frame: pa.Table, window: int) -> Floats:
    """Sum of the ticker's latest `window` previous_returns up to and including each row's own.

    Each was known at its own decision, hence at every later one; there is no look-ahead.
    """
    _, ticker = np.unique(frame["ticker"].to_numpy(), return_inverse=True)
    order = np.lexsort((frame["session"].to_numpy(), ticker))
    total = np.concatenate([[0.0], np.cumsum(_returns(frame)[order])])
    position = np.arange(len(order))
    first = np.searchsorted(ticker[order], ticker[order], side="left")
    trend = np.empty(len(order))
    trend[order] = total[position + 1] - total[np.maximum(first, position + 1 - window)]
    return trend


def _sign(values: Floats) -> Ints:
    # Differences of running sums leave dust where the exact answer is zero.
    return np.where(np.abs(values) < 1e-12, 0, np.sign(values)).astype(np.int64)
