"""Live-vs-backtest comparison: shifts of a model's results, and drift of its inputs and calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.evaluation.intervals import Interval, percentile_interval
from tasks.evaluation.metrics import Floats
from tasks.evaluation.slices import measured
from tasks.evaluation.spec import FINE_TUNED, EvaluationError, EvaluationSpec
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame
from warehouse.tables.models import Model
from warehouse.tables.predictions import read_predictions

COMPARED = ("accuracy", "cross_entropy", "calibration_gap")
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


@dataclass(frozen=True, slots=True)
class LiveComparison:
    """One metric of one predictor in the back-test and in the forward record.

    `shift` is forward minus back-test; its interval comes from resampling both spans
    independently; examples of the back-test whose label windows reach into the forward record's
    are left out of it.
    """

    predictor: str
    metric: str
    backtest: Interval
    forward: Interval
    shift: Interval

    @property
    def shifted(self) -> bool:
        """Whether the interval of the shift excludes zero."""
        return self.shift.above_zero or self.shift.below_zero

    @property
    def words(self) -> str:
        """The comparison in words, with the numbers."""
        finding = "differs from" if self.shifted else "agrees with"
        return (
            f"{self.predictor}: forward {self.metric.replace('_', ' ')} "
            f"{self.forward.value:.4f} {finding} what the back-test showed, "
            f"{self.backtest.value:.4f} (shift {self.shift.value:+.4f} [{self.shift.low:+.4f}, "
            f"{self.shift.high:+.4f}])."
        )


@dataclass(frozen=True, slots=True)
class Spans:
    """One model's predictions, one row per example: of its test split, and made `forward`.

    `backtest` has the columns of `evaluation_frame`, `forward` those of `forward_states`; both
    have p_up.
    """

    backtest: pa.Table
    forward: pa.Table

    @classmethod
    def read(cls, lake: Lake, model: Model, scored: pa.Table | None) -> Spans | None:
        """The spans of a model; None while either has no rows. `scored`: its forward record."""
        if scored is None or not scored.num_rows:
            return None
        tested = read_predictions(lake, model.dataset_id).filter(
            (pc.field("predictor") == FINE_TUNED) & (pc.field("model_id") == model.model_id)
        )
        if not tested.num_rows:
            return None
        frame = evaluation_frame(lake, tested["spec_id"][0].as_py(), tested["example_id"])
        return cls(frame.append_column("p_up", tested["p_up"]), scored)

    def compare(self, label: str, spec: EvaluationSpec) -> tuple[LiveComparison, ...]:
        """Accuracy, cross-entropy and calibration of the model called `label`."""
        before, since = ((side, side["p_up"].to_numpy()) for side in (self.backtest, self.forward))
        return compare_live(label, before, since, spec)

    def drift(self, lake: Lake) -> pa.Table:
        """One row per feature (see `drift_table`): the test split against what came since."""
        since = self.forward
        inputs = evaluation_frame(lake, since["spec_id"][0].as_py(), since["example_id"])
        before = _features(self.backtest, self.backtest["p_up"])
        after = _features(inputs, since["p_up"])
        known = {name for name in before if np.isfinite(before[name]).any()}
        known &= {name for name in after if np.isfinite(after[name]).any()}
        return drift_table({name: before[name] for name in known}, after)


def compare_live(
    predictor: str,
    backtest: tuple[pa.Table, Any],
    forward: tuple[pa.Table, Any],
    spec: EvaluationSpec | None = None,
) -> tuple[LiveComparison, ...]:
    """Compare one predictor's forward record with its back-test, one row per `COMPARED` metric.

    Both sides are (examples, P(up)). The calibration gap is the mean P(up) less the share of ups:
    its shift is the drift of calibration. Back-test windows that end after the first forward one
    begins are purged: they hold some of the same prices. Nothing is compared when that leaves none.
    """
    spec = spec or EvaluationSpec()
    apart = pc.less_equal(backtest[0]["label_end_ts"], pc.min(forward[0]["label_start_ts"]))
    if not pc.any(apart).as_py():
        return ()
    earlier = (backtest[0].filter(apart), np.asarray(backtest[1])[apart.to_numpy()])
    before, since = (
        measured(name, frame, {predictor: p_up}, spec, metrics=COMPARED)
        for name, (frame, p_up) in {"backtest": earlier, "forward": forward}.items()
    )
    reach = max(before.resampling.reach, since.resampling.reach)
    found = []
    for metric in COMPARED:
        gap = since.draws[predictor][metric] - before.draws[predictor][metric]
        found.append(
            LiveComparison(
                predictor=predictor,
                metric=metric,
                backtest=before.estimates[predictor][metric],
                forward=since.estimates[predictor][metric],
                shift=percentile_interval(gap[0], gap[1:], reach),
            )
        )
    return tuple(found)


def alarm(found: tuple[LiveComparison, ...]) -> str:
    """The comparisons that shifted, as an alarm; or that none has."""
    shifted = [item.words for item in found if item.shifted]
    if shifted:
        return f"ALARM: {' '.join(shifted)}"
    return "The forward record agrees with what the back-test showed." if found else ""


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


def drift_in_words(table: pa.Table) -> str:
    """The features that drifted, how far and by how many rows that is known; else nothing."""
    drifted = [
        f"{row['feature']} drifts ({row['drift']}: PSI {row['psi']:.2f} over "
        f"{row['n_current']} rows)"
        for row in table.to_pylist()
        if row["drift"] != "none"
    ]
    return f"{'; '.join(drifted)}." if drifted else ""


def input_features(frame: pa.Table) -> dict[str, Floats]:
    """Features that can drift in examples: characters of the input, its lines, previous return."""
    text = frame["input"].to_pylist()
    features: dict[str, Floats] = {
        "input_characters": np.array([len(item) for item in text], dtype=np.float64),
        "input_lines": np.array([item.count("\n") + 1 for item in text], dtype=np.float64),
    }
    if "previous_return" in frame.column_names:
        returns = frame["previous_return"].cast(pa.float64()).to_numpy()
        features["previous_return"] = np.asarray(returns, dtype=np.float64)
    return features


def _features(frame: pa.Table, p_up: pa.ChunkedArray) -> dict[str, Any]:
    return input_features(frame) | {"p_up": p_up.to_numpy()}


def _finite(values: Any) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]
