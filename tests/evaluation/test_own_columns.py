"""Own columns in the cheap baseline: a planted one helps, a leak is seen, a day closes it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tasks.checks.lookahead import audit_lookahead
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.features import FeatureSpec
from tasks.dataset.spec.split import SplitSpec
from tasks.evaluation.baselines import fit_baselines
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame

NOW = datetime(2019, 6, 1, tzinfo=UTC)
CALENDAR = exchange_sessions("XNYS", date(2018, 6, 1), date(2019, 3, 29)).to_pylist()
CUT = date(2018, 11, 15)
SPLIT = SplitSpec(train_until=CUT, validation_until=date(2018, 11, 30))


def spec_of(name: str) -> DatasetSpec:
    own = FeatureSpec(name=name, columns=("hint", "note"))
    return DatasetSpec(min_headlines=0, features=(own,), split=SPLIT)


@pytest.fixture
def market(lake: Lake, filler_of) -> Lake:
    """Two tickers that move by lot, and three ways to hint at how."""
    fill, chance = filler_of(lake), np.random.default_rng(5)
    columns: dict[str, list] = {"planted": [], "leak": [], "dated": []}
    for ticker in ("AAA", "BBB"):
        up = chance.random(len(CALENDAR)) < 0.5
        right = chance.random(len(CALENDAR)) < 0.7
        days = [row["session"] for row in CALENDAR]
        fill.bars(ticker, [(day, 100.0, 101.0 if rose else 99.0)
                           for day, rose in zip(days, up, strict=True)])  # fmt: skip
        for row, rose, told in zip(CALENDAR, up, right, strict=True):
            hint = {"hint": 50.0 + 10.0 * (rose == told), "note": "x"}
            columns["planted"].append((ticker, row["open_ts"] - timedelta(hours=1), hint))
            midnight = datetime.combine(row["session"], datetime.min.time(), UTC)
            outcome = {"hint": 1.0 if rose else -1.0, "note": "x"}
            columns["leak"].append((ticker, midnight, outcome))
    columns["dated"] = columns["leak"]
    for name, rows in columns.items():
        fill.features(name, rows, granularity="day" if name == "dated" else "second")
    return lake


def accuracy(lake: Lake, name: str) -> dict[str, float]:
    """Of each baseline on the sessions after the cut, fitted on those before."""
    spec = spec_of(name)
    refresh_examples(lake, spec, now=NOW)
    query = "select example_id from examples where spec_id = $id and label is not null order by 1"
    ids = lake.sql(query, {"id": spec.spec_id})["example_id"]
    frame = evaluation_frame(lake, spec.spec_id, ids)
    early = pa.compute.less_equal(frame["session"], CUT)
    train, test = frame.filter(early), frame.filter(pa.compute.invert(early))
    found = fit_baselines(train).predict(test)
    up = test["label_up"].to_numpy()
    return {name: float(np.mean((p_up >= 0.5) == up)) for name, p_up in found.items()}


def test_planted_column_helps_its_leaking_copy_is_seen_and_a_day_closes_the_leak(market) -> None:
    planted = accuracy(market, "planted")
    assert planted["numeric_logistic"] > 0.62
    assert planted["numeric_logistic"] > planted["majority"] + 0.08
    assert accuracy(market, "leak")["numeric_logistic"] == 1.0
    report = audit_lookahead(market, spec_of("leak"), checks=("features",), moments=1)
    noted = " ".join(finding.words for finding in report.findings)
    assert "leak.hint: of its instants 100 % are midnight" in noted
    assert (
        "leak.hint: alone it tells ups from downs with an area under the ROC curve of 1.00" in noted
    )
    assert accuracy(market, "dated")["numeric_logistic"] < 0.6
    quiet = audit_lookahead(market, spec_of("dated"), checks=("features",), moments=1)
    assert not [f for f in quiet.findings if "midnight" in f.words or "tells" in f.words]


def with_own(frame: pa.Table, numbers: list[float | None]) -> pa.Table:
    own = [[{"name": "hint", "number": number}] for number in numbers]
    return frame.append_column("features", pa.array(own))


def test_own_columns_are_standardised_on_the_training_rows_alone(make_frame) -> None:
    train, test = make_frame(seed=1), make_frame(seed=2)
    up = train["label_up"].to_numpy()
    fitted = fit_baselines(with_own(train, list(np.where(up, 1e6 + 1, 1e6).astype(float))))
    odd = [None if n % 5 == 0 else 1e6 + (n % 2) for n in range(test.num_rows)]
    whole = fitted.predict(with_own(test, odd))["numeric_logistic"]
    alone = fitted.predict(with_own(test, odd).slice(3, 7))["numeric_logistic"]
    assert whole[3:10] == pytest.approx(alone, abs=0.05)  # only its momentum needs rows before
    assert np.isfinite(whole).all()
    assert np.corrcoef(whole[1::5], [odd[n] for n in range(1, test.num_rows, 5)])[0, 1] > 0.9


def test_examples_without_own_columns_have_no_such_baseline(make_frame) -> None:
    frame = make_frame()
    assert "numeric_logistic" not in fit_baselines(frame).fitted
    empty = frame.append_column("features", pa.nulls(frame.num_rows, pa.list_(pa.struct([]))))
    assert "numeric_logistic" not in fit_baselines(empty).fitted
