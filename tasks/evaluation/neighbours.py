"""Nearest training examples of a prompt, by the cosine of TF-IDF vectors: what resembles it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.evaluation.baselines import BaselineSpec


def nearest(
    train: pa.Table, texts: list[str], count: int = 3, spec: BaselineSpec | None = None
) -> list[pa.Table]:
    """For each text the `count` training examples most like it, with their `similarity` (0 to 1).

    `train`: the training split alone, with `input`; terms are those of the reference model, and
    their weights are learned from it. The most like first; those that share no term are left out.
    They are examples that resemble the text, not reasons of any model.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    spec = spec or BaselineSpec()
    terms = TfidfVectorizer(
        ngram_range=(1, spec.ngrams), max_features=spec.max_terms, sublinear_tf=True
    )
    try:
        known = terms.fit_transform(train[spec.text].to_pylist())
    except ValueError:  # no text holds a term
        return [_with_similarity(train.slice(0, 0), np.zeros(0)) for _ in texts]
    # Rows are of unit length: the product is the cosine.
    likeness = (terms.transform(texts) @ known.T).toarray()
    found = []
    for row in likeness:
        order = np.argsort(-row, kind="stable")[:count]
        order = order[row[order] > 0]
        found.append(_with_similarity(train.take(order), row[order]))
    return found


def _with_similarity(rows: pa.Table, values: np.ndarray) -> pa.Table:
    return rows.append_column("similarity", pa.array(values, pa.float64()))
