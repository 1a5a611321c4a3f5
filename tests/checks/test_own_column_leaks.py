"""The audit is quiet on the real join of own columns and catches leaks built into copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from tasks.checks.canaries import future_column, plant_column
from tasks.checks.lookahead import AuditReport, audit_lookahead
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.features import FeatureSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec
from warehouse.lake import Lake, sql
from warehouse.tables.examples import LookaheadError

NOW = datetime(2019, 6, 1, tzinfo=UTC)
SPEC = DatasetSpec(
    min_headlines=0,
    render=RenderSpec(template="{features}"),
    split=SplitSpec(train_until=date(2019, 3, 20), validation_until=date(2019, 3, 25)),
    features=(
        FeatureSpec(name="own", columns=("pe", "rating"), time_to_live=timedelta(days=2)),
        FeatureSpec(name="macro", columns=("vix",)),
        FeatureSpec(name="dated", columns=("flow",)),
    ),
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, filler_of, open_lake) -> Iterator[Lake]:
    """Two tickers, a month; own columns at all hours, revised, expired, dated by days."""
    with open_lake(tmp_path_factory.mktemp("audited")) as lake:
        fill = filler_of(lake)
        calendar = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 3, 29)).to_pylist()
        for ticker in ("AAA", "BBB"):
            fill.bars(ticker, [(row["session"], 90.0 + n % 5, 91.0 + (n * 3) % 4)
                               for n, row in enumerate(calendar)])  # fmt: skip
        hours = (-9, -1, 3, 8)
        rows = [
            (
                ticker,
                row["open_ts"] + timedelta(hours=hours[n % 4]),
                {"pe": n + 0.5, "rating": "buy"},
            )
            for ticker in ("AAA", "BBB")
            for n, row in enumerate(calendar)
            if n % 7 < 4  # then there is none for longer than its time to live
        ]
        fill.features("own", rows, seen=calendar[10]["open_ts"])
        revised = [(ticker, at, {"pe": 77.0, "rating": "sell"}) for ticker, at, _ in rows[5:7]]
        fill.features("own", revised, seen=calendar[8]["close_ts"])
        fill.features("macro", [("*", row["open_ts"] - timedelta(minutes=5), {"vix": float(n)})
                                for n, row in enumerate(calendar)])  # fmt: skip
        days = [datetime.combine(row["session"], datetime.min.time(), UTC) for row in calendar]
        fill.features("dated", [("*", day, {"flow": float(day.day)}) for day in days],
                      granularity="day")  # fmt: skip
        refresh_examples(lake, SPEC, now=NOW)
        yield lake


def audit(lake: Lake, *checks: str, spec: DatasetSpec = SPEC) -> AuditReport:
    return audit_lookahead(lake, spec, seed=3, moments=1, plants=4, checks=checks)


def test_audit_is_quiet_on_the_real_join(audited) -> None:
    before = audited.snapshot_id()
    report = audit(audited, "clock", "features", "stored", "truncated", "restated", "planted")
    assert report.passed, report.words()
    assert audited.snapshot_id() == before
    checked = [finding for finding in report.findings if finding.check == "features"]
    assert checked[0].words == "every own column is as it was known at the decision"


KNOWN = "a.decision_ts > s.available_at"
LEAKS = {
    "known_at_shifted_by_a_day": (
        {KNOWN: "a.decision_ts > s.available_at - INTERVAL 1 DAY"}, "truncated", "features",
    ),
    "joined_by_the_date_of_the_session": (
        {KNOWN: "c_session_end(a.decision_ts) > s.available_at"}, "features", "truncated",
    ),
    "known_at_the_very_decision": ({KNOWN: "a.decision_ts >= s.available_at"}, "features"),
    "a_day_taken_for_an_instant": ({KNOWN: "a.decision_ts > s.known_at"}, "features"),
    "time_to_live_ignored": (
        {"a.time_to_live_us IS NULL\n": "TRUE OR a.time_to_live_us IS NULL\n"}, "features",
    ),
    "known_at_left_out_of_the_latest_input": (
        {"max(known.available_at) AS": "NULL::TIMESTAMPTZ AS"}, "features",
    ),
}  # fmt: skip
SESSION_END = "date_trunc('day', a.decision_ts) + INTERVAL 24 HOURS"


@pytest.mark.parametrize("name", LEAKS)
def test_audit_catches(name: str, audited) -> None:
    edits, *caught_by = LEAKS[name]
    leaky = sql.statement("features_joined").text
    for old, new in edits.items():
        assert old in leaky, f"the leak no longer fits the pipeline: {old}"
        leaky = leaky.replace(old, new.replace("c_session_end(a.decision_ts)", SESSION_END))
    with sql.override("features_joined", leaky):
        for check in caught_by:
            report = audit(audited, check)
            assert not report.passed, f"{check}: {report.words()}"


def test_audit_catches_the_value_as_revised_later(audited) -> None:
    known = sql.statement("features_known").text
    edit = "SELECT w.place, f.ticker, f.known_at, f.revision, f.number, f.text, f.available_at"
    assert edit in known
    last = "PARTITION BY f.feature_set, f.ticker, f.known_at, f.name"
    leaky = known.replace(
        edit,
        "SELECT w.place, f.ticker, f.known_at, f.revision, "
        f"arg_max(f.number, f.revision) OVER ({last}) AS number, f.text, f.available_at",
    )
    with sql.override("features_known", leaky):
        for check in ("restated", "features"):
            assert not audit(audited, check).passed, check


def test_a_value_planted_after_a_decision_is_in_later_inputs_alone(audited) -> None:
    canary = future_column(lambda marker: plant_column(audited, SPEC, marker, now=NOW))
    assert canary.passed, canary.words
    early = KNOWN.replace("s.available_at", "s.available_at - INTERVAL 3 DAY")
    leaky = sql.statement("features_joined").text.replace(KNOWN, early)
    with sql.override("features_joined", leaky), pytest.raises(LookaheadError):
        plant_column(audited, SPEC, "refused", now=NOW)
    hidden = leaky.replace("max(known.available_at) AS", "NULL::TIMESTAMPTZ AS")
    with sql.override("features_joined", hidden):
        canary = future_column(lambda marker: plant_column(audited, SPEC, f"{marker}2", now=NOW))
    assert not canary.passed


def test_audit_notes_what_looks_like_dates_and_what_nobody_saw_arrive(audited, filler_of) -> None:
    fill = filler_of(audited)
    days = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 3, 29))["session"].to_pylist()
    midnights = [datetime.combine(day, datetime.min.time(), UTC) for day in days]
    fill.features("naive", [("*", at, {"hint": float(at.day)}) for at in midnights])
    spec = SPEC.model_copy(update={"features": (FeatureSpec(name="naive", columns=("hint",)),)})
    refresh_examples(audited, spec, now=NOW)
    facts = [f.words for f in audit(audited, "features", spec=spec).findings if f.passed is None]
    assert any("100 % are midnight" in words and 'granularity = "day"' in words for words in facts)
    assert any("asserted alone" in words for words in facts)


def test_a_column_made_from_the_outcome_is_said_to_tell_too_much(audited, filler_of) -> None:
    fill = filler_of(audited)
    calendar = exchange_sessions("XNYS", date(2018, 9, 4), date(2019, 2, 28)).to_pylist()
    for ticker in ("AAA", "BBB"):
        fill.bars(ticker, [(row["session"], 100.0, 101.0 if n % 3 else 99.0)
                           for n, row in enumerate(calendar)])  # fmt: skip
    told = [("*", row["open_ts"] - timedelta(hours=1), {"hint": float(bool(n % 3))})
            for n, row in enumerate(calendar)]  # fmt: skip
    fill.features("told", told)
    spec = SPEC.model_copy(update={"features": (FeatureSpec(name="told", columns=("hint",)),)})
    refresh_examples(audited, spec, now=NOW)
    facts = [f.words for f in audit(audited, "features", spec=spec).findings if f.passed is None]
    assert any("told.hint: alone it tells ups from downs" in words for words in facts), facts
