"""Classical classifiers of the literature on price windows: logistic regression, random forest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.evaluation.metrics import Bools, Floats

Windows = npt.NDArray[np.float32]
"""Shape (rows, sessions, features)."""
TREES = 100
LEAF_ROWS = 20


def logistic_regression(train: Windows, label: Bools, test: Windows) -> Floats:
    """P(up) of the test rows by L2 logistic regression on standardised features; no randomness."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(_flat(train), label)
    return np.asarray(model.predict_proba(_flat(test))[:, 1], dtype=np.float64)


def random_forest(train: Windows, label: Bools, test: Windows, seed: int) -> Floats:
    """P(up) of the test rows by a forest of TREES trees, leaves of at least LEAF_ROWS rows."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(TREES, min_samples_leaf=LEAF_ROWS, random_state=seed)
    model.fit(_flat(train), label)
    return np.asarray(model.predict_proba(_flat(test))[:, 1], dtype=np.float64)


def _flat(values: Windows) -> Windows:
    return values.reshape(len(values), -1)
