"""Forward record: one statistic per model over its first timely predictions.

The score, the site and the read API take their numbers from here, so that they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.evaluation.intervals import Interval
from tasks.evaluation.metrics import called_up
from tasks.evaluation.sequential import Gains, confidence_sequence, gains_of, lead_of
from tasks.evaluation.slices import Comparison, Slice, compare, measured
from tasks.evaluation.spec import (
    REFERENCE,
    TRIVIAL,
    EvaluationError,
    EvaluationSpec,
    predictor_label,
)
from tasks.evaluation.verdict import WHOLE, Verdict, conclude
from warehouse.lake import Lake
from warehouse.tables.predictions import forward_states

STATISTICS = (
    "accuracy",
    "cross_entropy",
    "brier",
    "mcc",
    "calibration_gap",
    "predicted_up_share",
    "up_share",
)
LEAST = 20
"""Sessions from which on a record's accuracy is drawn."""

_TEXT, _LONG, _REAL = pa.string(), pa.int64(), pa.float64()
_INTERVAL = {"ci_low": _REAL, "ci_high": _REAL}
_ESTIMATE = {"accuracy": _REAL, **_INTERVAL}
_SCORES = {"sessions": _LONG, **_ESTIMATE, "brier": _REAL, "mean_p_up": _REAL, "up_share": _REAL}
_PAIRED = {"predictor": _TEXT, "other": _TEXT, "sessions": _LONG, "n": _LONG}
_LEADS = pa.schema({**_PAIRED, "difference": _REAL, **_INTERVAL})
_WEEK = {"predictor": _TEXT, "session": pa.date32(), "sessions": _LONG, "n": _LONG}
_RUNNING = pa.schema({**_WEEK, **_ESTIMATE})
_TICKER = {"predictor": _TEXT, "ticker": _TEXT, "n": _LONG}
_TICKERS = pa.schema({**_TICKER, **_ESTIMATE, "up_share": _REAL, "called_up": _REAL})


@dataclass(frozen=True)
class ForwardRecord:
    """All forward predictions with their states at one moment, and statistics of the scored ones.

    A predictor is a model by its model_id, whatever stage or name it predicted under; or a
    baseline, or a rule held against the same examples, by its name. Bounds of accuracy and of
    leads are confidence sequences at the level of `spec`: they hold at every look at once, since a
    record is looked at every day. Other intervals are those of every evaluation, for one look.
    `states`: see `forward_states`.
    `counts`: one row per predictor (see the statement `forward_counts`), models first, the
    champion before others.
    """

    states: pa.Table
    counts: pa.Table
    spec: EvaluationSpec

    @classmethod
    def read(
        cls, lake: Lake, spec: EvaluationSpec, *, now: datetime, spec_id: str | None = None
    ) -> ForwardRecord:
        """The record as it stands at `now` (UTC), on one spec's examples or on all."""
        states = forward_states(lake, now=now, spec_id=spec_id)
        return cls(states, lake.read("forward_counts", forward_states=states), spec)

    @cached_property
    def candidate(self) -> str | None:
        """The model the pages are about: the champion if it has predicted, else the newest."""
        models = (row["predictor"] for row in self.counts.to_pylist() if row["is_model"])
        return next(models, None)

    @cached_property
    def labels(self) -> dict[str, str]:
        """How each predictor is shown."""
        return {
            row["predictor"]: predictor_label(row["predictor"], row["stage"])
            for row in self.counts.to_pylist()
        }

    @cached_property
    def scored(self) -> dict[str, pa.Table]:
        """The rows of `states` that enter the statistics, by predictor."""
        rows = self.states.filter(pc.field("state") == "scored")
        return {
            name: rows.filter(pc.field("predictor") == name)
            for name in pc.unique(rows["predictor"]).to_pylist()
        }

    def statistics(self, predictor: str) -> Slice:
        """Every metric of `STATISTICS` over one predictor's scored predictions."""
        rows = self.scored[predictor]
        p_up = {predictor: rows["p_up"].to_numpy()}
        return measured(WHOLE, rows, p_up, self.spec, metrics=STATISTICS)

    def scores(self) -> pa.Table:
        """`counts` with sessions, accuracy and its interval, brier, mean_p_up and up_share."""
        rows = [row | self._score(row["predictor"]) for row in self.counts.to_pylist()]
        schema = pa.schema([*self.counts.schema, *pa.schema(_SCORES)])
        return pa.Table.from_pylist(rows, schema=schema)

    def _score(self, predictor: str) -> dict[str, Any]:
        if predictor not in self.scored:
            return {"sessions": 0}
        found = self.statistics(predictor)
        own = found.estimates[predictor]
        return {
            "sessions": found.sessions,
            **_bounds(self.accuracy(predictor), "accuracy"),
            "brier": _rounded(own["brier"].value),
            "mean_p_up": _rounded(own["calibration_gap"].value + own["up_share"].value),
            "up_share": _rounded(own["up_share"].value),
        }

    def accuracy(self, predictor: str) -> Interval:
        """The accuracy of its scored predictions, as a confidence sequence."""
        return confidence_sequence(_hits(self.scored[predictor]), self.spec.level)

    def compare(self, predictor: str, other: str) -> tuple[Comparison, pa.Table] | None:
        """`predictor` minus `other`, and the examples both were scored on; None without any."""
        mine, theirs = self.scored[predictor], self.scored[other]
        _, first, second = np.intersect1d(_keys(mine), _keys(theirs), return_indices=True)
        if not len(first):
            return None
        order = np.argsort(first)
        shared, rival = mine.take(first[order]), theirs.take(second[order])
        pair = (shared["p_up"].to_numpy(), rival["p_up"].to_numpy())
        found = compare(shared, *pair, self.spec, named=other)
        lead = confidence_sequence(lead_of(shared, *pair), self.spec.level)
        return found.with_accuracy(lead, self.spec), shared

    def leads(self, predictor: str) -> pa.Table:
        """One row per other predictor: the difference in accuracy on the examples of both."""
        others = sorted(self.scored.keys() - {predictor}) if predictor in self.scored else []
        rows = [
            {
                "predictor": predictor,
                "other": other,
                "sessions": len(paired[1]["session"].unique()),
                "n": paired[1].num_rows,
                **_bounds(paired[0].accuracy, "difference"),
            }
            for other in others
            if (paired := self.compare(predictor, other)) is not None
        ]
        return pa.Table.from_pylist(rows, schema=_LEADS)

    def running(self) -> pa.Table:
        """One row per predictor and week: accuracy of all sessions up to the week's last.

        Records of fewer than 20 sessions are left out. All bounds hold together.
        """
        rows: list[dict[str, Any]] = []
        for predictor, scored in self.scored.items():
            gains = _hits(scored)
            days = np.unique(scored["session"].to_numpy())
            week = (days.astype("datetime64[D]").astype(np.int64) + 3) // 7  # begins on Monday
            for last in np.flatnonzero(np.append(week[1:] != week[:-1], True)):
                if last + 1 >= LEAST:
                    so_far = gains.until(int(last) + 1)
                    rows.append(
                        {
                            "predictor": predictor,
                            "session": days[last].astype(object),
                            "sessions": int(last) + 1,
                            "n": int(so_far.rows.sum()),
                            **_bounds(confidence_sequence(so_far, self.spec.level), "accuracy"),
                        }
                    )
        return pa.Table.from_pylist(rows, schema=_RUNNING)

    def tickers(self, predictor: str) -> pa.Table:
        """One row per ticker: accuracy, share that went up, share called up."""
        rows = []
        scored = self.scored.get(predictor, self.states.slice(0, 0))
        for ticker in sorted(pc.unique(scored["ticker"]).to_pylist()):
            own = scored.filter(pc.field("ticker") == ticker)
            found = measured(
                WHOLE,
                own,
                {predictor: own["p_up"].to_numpy()},
                self.spec,
                metrics=("up_share", "predicted_up_share"),
            ).estimates[predictor]
            rows.append(
                {
                    "predictor": predictor,
                    "ticker": ticker,
                    "n": own.num_rows,
                    **_bounds(confidence_sequence(_hits(own), self.spec.level), "accuracy"),
                    "up_share": _rounded(found["up_share"].value),
                    "called_up": _rounded(found["predicted_up_share"].value),
                }
            )
        return pa.Table.from_pylist(rows, schema=_TICKERS)

    def verdict(self, predictor: str, label: str) -> Verdict:
        """The verdict on one predictor's record, called `label`, against the fitted baselines.

        Raises EvaluationError while none of its predictions is scored.
        """
        if predictor not in self.scored:
            raise EvaluationError(
                f"No forward prediction of {label} has a final outcome yet; wait for a session "
                "to finish."
            )
        fitted = {name for name, rows in self.scored.items() if not rows["rule"][0].as_py()}
        paired = [
            self.compare(predictor, baseline)
            for baseline in (*TRIVIAL, *REFERENCE)
            if baseline in fitted and baseline != predictor
        ]
        own = self.statistics(predictor)
        return conclude(
            label,
            {**own.estimates[predictor], "accuracy": self.accuracy(predictor)},
            [found[0] for found in paired if found is not None],
            self.spec,
            rows=len(own.label),
            drawn=own.resampling,
            daily=True,
        )


def _hits(rows: pa.Table) -> Gains:
    label = np.asarray(rows["label_up"].to_numpy(), dtype=bool)
    return gains_of(rows, called_up(rows["p_up"].to_numpy()) == label, 0.0, 1.0)


def _keys(rows: pa.Table) -> np.ndarray:
    keys: np.ndarray = pc.binary_join_element_wise(
        rows["spec_id"], rows["example_id"], "/"
    ).to_numpy()
    return keys.astype(str)


def _bounds(item: Interval, name: str) -> dict[str, float | None]:
    values = {name: item.value, "ci_low": item.low, "ci_high": item.high}
    return {key: _rounded(value) for key, value in values.items()}


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
