"""Do today's inputs still look like those the model was judged on?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.metrics import Floats
from tasks.evaluation.spec import EvaluationError

DRIFT = pa.schema(
    [
        ("feature", pa.string()),
        ("psi", pa.float64()),
        ("ks", pa.float64()),
        ("ks_p", pa.float64()),
        ("n_reference", pa.int64()),
        ("n_current", pa.int64()),
        ("drift", pa.string()),
    ]
)
_FLOOR = 1e-4  # share given to an empty bin, so that its logarithm exists


def population_stability(reference: Floats, current: Floats, bins: int = 10) -> float:
    """Population stability index over the reference's quantile bins; 0 when equal.

    Siddiqi (2006), Credit Risk Scorecards: below 0.10 stable, above 0.25 a shift. With ties
    (counts, constants) bins merge, so that no edge splits equal values.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        / len(values)
        for values in (reference, current)
    ]
    expected, found = (np.maximum(share, _FLOOR) for share in shares)
    return float(np.sum((found - expected) * np.log(found / expected)))


def drift_table(reference: Mapping[str, Any], current: Mapping[str, Any]) -> pa.Table:
    """One row per feature in both mappings (name to numbers): PSI, KS statistic and p, a word.

    `drift`: none | some | strong, by the PSI bounds 0.10 and 0.25, and none wherever the
    Kolmogorov-Smirnov test cannot tell the samples apart at 1%: a PSI over few rows is noise.
    Raises EvaluationError when a feature has no finite value on either side.
    """
    from scipy.stats import ks_2samp

    rows = []
    for feature in sorted(reference.keys() & current.keys()):
        before, after = (_finite(side[feature]) for side in (reference, current))
        if not len(before) or not len(after):
            raise EvaluationError(
                f"Drift of {feature!r} needs values on both sides; got {len(before)} reference "
                f"and {len(after)} current ones."
            )
        psi = population_stability(before, after)
        test = ks_2samp(before, after)
        word = "strong" if psi > 0.25 else "some" if psi > 0.10 else "none"
        rows.append(
            {
                "feature": feature,
                "psi": psi,
                "ks": float(test.statistic),
                "ks_p": float(test.pvalue),
                "n_reference": len(before),
                "n_current": len(after),
                "drift": word if test.pvalue < 0.01 else "none",
            }
        )
    return pa.Table.from_pylist(rows, schema=DRIFT)


def input_features(frame: pa.Table) -> dict[str, Floats]:
    """What can drift in examples: characters of the input, its lines, and the previous return."""
    text = frame["input"].to_pylist()
    features: dict[str, Floats] = {
        "input_characters": np.array([len(item) for item in text], dtype=np.float64),
        "input_lines": np.array([item.count("\n") + 1 for item in text], dtype=np.float64),
    }
    if "previous_return" in frame.column_names:
        returns = frame["previous_return"].cast(pa.float64()).to_numpy()
        features["previous_return"] = np.asarray(returns, dtype=np.float64)
    return features


def _finite(values: Any) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]
