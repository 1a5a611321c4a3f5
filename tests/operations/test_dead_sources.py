"""Hazard of dead sources: a bar is lost, a morning has no predictions, each ticker waits for them.

Two data roots live through the same mornings. One is undisturbed; the other has two of five sources
dead each morning, every pair in turn and in rotating ways. By default two pairs die: two vendors of
prices, then all news; NEWSVANE_DEAD_DAYS=21 makes it a month, of every pair; NEWSVANE_DEAD_BEGIN=0
begins with the first of them.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flows.operations import check_sources, check_vendors
from flows.platform.display import together
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.evaluation.baselines import Baselines, fit_baselines
from tasks.ingest.planning import incomplete_ranges
from tests.operations.dead_sources import (
    NEWS,
    PAIRS,
    PAST,
    PRICES,
    SOURCES,
    TICKERS,
    WAYS,
    Root,
    Vendors,
    Way,
    deaths,
    market_until,
)
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame
from warehouse.tables.predictions import store_forward, upcoming_examples

DAYS = int(os.environ.get("NEWSVANE_DEAD_DAYS", "2"))
BEGIN = int(os.environ.get("NEWSVANE_DEAD_BEGIN", "3"))
FIRST = date(2024, 1, 3)
EARLY = timedelta(minutes=30)
"""Before the open, when the morning's run begins."""
MOST_ASKED = 24
"""Requests to a dead source in one morning; its 20 tickers, twice tried, would be 40 and more."""

BARS = "SELECT ticker, session, open, high, low, close, volume FROM bars"
WHAT = {
    "bars": BARS,
    "actions": "SELECT ticker, ex_date, kind, value FROM actions",
    "headlines": "SELECT headline_id, story_id, source, title, published_at FROM headlines",
    "headline_tickers": "FROM headline_tickers",
    "sessions": "FROM sessions",
    "examples": "SELECT * EXCLUDE (availability, max_input_available_at) FROM examples",
}
FORWARD = (
    "SELECT predictor, ticker, session, predicted_at, decision_ts, label_start_ts, p_up, "
    "headline_ids, input_sha256 FROM predictions JOIN (SELECT example_id, label_start_ts "
    "FROM examples) USING (example_id) WHERE kind = 'forward'"
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_runs")]


@dataclass
class Month:
    """What both roots lived through, and what was seen of the disturbed one meanwhile."""

    calm: Root
    disturbed: Root
    actions_due: int
    """Splits and dividends that go ex on one of its days."""
    dead: dict[date, dict[str, Way]] = field(default_factory=dict)
    returns: dict[tuple[str, date, str], float | None] = field(default_factory=dict)
    """The return before each session as it was known, by root, session and ticker."""
    said: dict[date, list[tuple[str, str]]] = field(default_factory=dict)
    """What each morning's run called missing or partial, in lines."""
    ledger: dict[date, dict[str, str]] = field(default_factory=dict)
    """After each morning, the last error of every source that `sources check` shows one of."""


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, prefect_runs: str) -> Iterator[Month]:
    from flows.backfill import backfill
    from flows.ingest import poll_headlines

    sessions = exchange_sessions("XNYS", FIRST, FIRST + timedelta(days=60)).to_pylist()
    mornings = [row["open_ts"].astimezone(UTC) - EARLY for row in sessions[: DAYS + 1]]
    market, folder = market_until(mornings[-1].date()), tmp_path_factory.mktemp("month")
    with ExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setenv("TIINGO_TOKEN", "token")
        patched.setattr("flows.ingest.TICKERS_PER_TASK", len(TICKERS))  # half as many commits
        calm, disturbed = (
            Root(folder / name, stack.enter_context(Vendors(market)))
            for name in ("calm", "disturbed")
        )
        calm.vendors.at = mornings[0] - timedelta(days=1)
        backfill(calm.selection, PAST, calm.vendors.at.date())
        poll_headlines(calm.settings)
        baselines = _fitted(calm)
        shutil.copytree(calm.folder / "data", disturbed.folder / "data")
        due = pc.less_equal(market.actions["ex_date"], pa.scalar(mornings[-1].date()))
        lived = Month(calm, disturbed, int(pc.sum(due).as_py() or 0))
        for number, at in enumerate(mornings):
            dead = deaths(BEGIN + number) if number < DAYS else {}
            if dead:
                lived.dead[at.date()] = dead
            for root in (calm, disturbed):
                summary = root.gather(at, dead if root is disturbed else {})
                lived.said[at.date()] = together(summary.lacking)
                _predict(lived, root, at, baselines)
            lived.ledger[at.date()] = _errors(disturbed)
        yield lived


def _fitted(root: Root) -> Baselines:
    """The cheap predictors, fitted on all that is labelled before the first morning."""
    spec = root.settings.dataset
    with Lake.open(root.settings.warehouse) as lake:
        ids = lake.read(
            "examples_labelled_in_range",
            {"spec_id": spec.spec_id, "first": PAST, "last": root.vendors.at.date()},
        )["example_id"]
        return fit_baselines(evaluation_frame(lake, spec.spec_id, ids))


def _predict(month: Month, root: Root, at: datetime, baselines: Baselines) -> None:
    """Predict the next session from what is known, as the daily job does."""
    spec = root.settings.dataset
    with Lake.open(root.settings.warehouse) as lake:
        refresh_examples(lake, spec, now=at)
        frame = upcoming_examples(lake, spec.spec_id, now=at)
        made: dict[str, Any] = dict(baselines.predict(frame))
        store_forward(lake, frame, made, model_ids={}, dataset_id=None, now=at)
    for row in frame.to_pylist():
        key = root.folder.name, row["session"], row["ticker"]
        month.returns[key] = row["previous_return"]


def _errors(root: Root) -> dict[str, str]:
    table, alarms = check_sources(root.settings)
    assert not alarms, "a source that was silent for a morning is no alarm yet"
    rows = table.to_pylist()
    return {row["source"]: row["last_error"] for row in rows if row["last_error"] is not None}


def _read(root: Root, query: str) -> pa.Table:
    with Lake.open(root.settings.warehouse) as lake:
        return lake.sql(query)


def _differing(month: Month, query: str) -> list[dict[str, Any]]:
    """The rows that the two roots do not share."""
    both = [Counter(map(repr, _read(root, query).to_pylist())) for root in _roots(month)]
    assert both[0], f"nothing to compare: {query}"
    return [*((both[0] - both[1]) + (both[1] - both[0])).elements()]


def _roots(month: Month) -> tuple[Root, Root]:
    return month.calm, month.disturbed


def _forward(month: Month) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The forward predictions of each root by predictor, session and ticker."""
    calm, disturbed = (
        {
            (row["predictor"], row["session"], row["ticker"]): row
            for row in _read(root, FORWARD).to_pylist()
        }
        for root in _roots(month)
    )
    return calm, disturbed


def test_every_pair_of_sources_was_dead(month: Month) -> None:
    assert {frozenset(pair) for pair in PAIRS} == set(map(frozenset, combinations(SOURCES, 2)))
    assert {tuple(dead) for dead in month.dead.values()} >= set(PAIRS[BEGIN : BEGIN + DAYS])
    ways = {way for dead in month.dead.values() for way in dead.values()}
    assert ways == set(WAYS) or len(month.dead) < len(PAIRS)


@pytest.mark.parametrize("what", WHAT)
def test_nothing_is_lost_or_doubled_when_sources_die(month: Month, what: str) -> None:
    if what == "actions" and not month.actions_due:
        pytest.skip("no share goes ex in so few days; NEWSVANE_DEAD_DAYS=21 has some")
    found = _differing(month, WHAT[what])
    assert not found, found[:6]


def test_every_bar_of_every_session_is_there(month: Month) -> None:
    last = max(month.dead)
    held = _read(month.disturbed, BARS).to_pylist()
    days = exchange_sessions("XNYS", PAST, last)["session"].to_pylist()
    found = {(row["ticker"], row["session"]) for row in held}
    assert {(ticker, day) for ticker in TICKERS for day in days} <= found
    with Lake.open(month.disturbed.settings.warehouse) as lake:
        assert not incomplete_ranges(lake, "yahoo", None, (PAST, last))


def test_nearly_every_ticker_is_predicted_before_every_open(month: Month) -> None:
    _, made = _forward(month)
    for day in month.dead:
        rows = [row for (_, session, _), row in made.items() if session == day]
        assert all(row["predicted_at"] < row["decision_ts"] < row["label_start_ts"] for row in rows)
        assert len({row["ticker"] for row in rows}) >= 0.95 * len(TICKERS), day


def test_every_substitution_is_recorded_with_its_reason(month: Month) -> None:
    rows = _read(month.disturbed, "FROM substitutions").to_pylist()
    assert not _read(month.calm, "FROM substitutions").num_rows
    noted = {(row["ticker"], row["session"], row["source"], row["lacking"]) for row in rows}
    query = "SELECT ticker, session, source FROM bar_versions WHERE source <> 'yahoo'"
    stood_in = _read(month.disturbed, query).to_pylist()
    assert stood_in or not any({"yahoo"} & set(dead) for dead in month.dead.values())
    for row in stood_in:
        before = PRICES[: PRICES.index(row["source"])]
        for lacking in before:
            assert (row["ticker"], row["session"], row["source"], lacking) in noted
    for row in rows:
        assert row["reason"]
        # The bar of a session is asked for on the next morning; the vendor was dead then.
        assert row["lacking"] in month.dead[row["recorded_at"].date()], row
    readings = _read(month.disturbed, "SELECT DISTINCT source FROM bar_readings")
    assert set(readings["source"].to_pylist()) >= {"yahoo", *(row["source"] for row in stood_in)}
    vendors, drifting = check_vendors(month.disturbed.settings)
    assert not drifting
    shown = {row["source"]: row for row in vendors.to_pylist()}
    counted = Counter(row["lacking"] for row in rows)
    assert {name: shown[name]["failed_to_give"] for name in counted} == counted
    assert all(shown[name]["last_reason"] for name in counted)


def test_ledger_names_who_is_dead_and_sources_check_shows_it(month: Month) -> None:
    feeds = {"wire": "wire-latest", "edgar": "edgar-current"}
    for day, dead in month.dead.items():
        for source, way in dead.items():
            asked = source in NEWS or source == "yahoo" or "yahoo" in dead
            if asked and way not in ("empty", "partial"):
                assert feeds.get(source, source) in month.ledger[day], (day, source, way)
    # A further vendor whose turn does not come is not asked again, and its last error stands.
    assert not set(month.ledger[max(month.ledger)]) - set(PRICES[1:]), "all was caught up"


def test_run_says_once_who_is_dead_and_nothing_where_another_stood_in(month: Month) -> None:
    for day, dead in month.dead.items():
        ways = [way for source, way in dead.items() if source in NEWS]
        if "partial" not in ways:
            # Two feeds each, with the first ticker's words and those of the others.
            assert len(month.said[day]) <= 5 * len(ways), (dead, month.said[day])
        assert month.said[day] or set(ways) <= {"empty"}, day


def test_silence_of_a_source_is_one_alarm_and_not_one_a_ticker(month: Month) -> None:
    vendors = month.calm.vendors
    before, vendors.at = vendors.at, vendors.at + timedelta(days=10)
    try:
        _, alarms = check_sources(month.calm.settings)
    finally:
        vendors.at = before
    sources = ("yahoo", "edgar", "edgar-current", "wire-search", "wire-latest")
    assert Counter(alarm.partition(" ")[0] for alarm in alarms) == dict.fromkeys(sources, 1)


def test_dead_source_costs_a_few_requests_and_not_two_a_ticker(month: Month) -> None:
    for day, source, asked in month.disturbed.requests:
        if month.dead[day][source] in ("no_answer", "silence"):
            assert asked <= MOST_ASKED, (day, source, asked)


def test_prediction_differs_only_where_something_else_was_known(month: Month) -> None:
    calm, disturbed = _forward(month)
    assert calm.keys() == disturbed.keys()
    differing = Counter[date]()
    for key, row in disturbed.items():
        other, (_, session, ticker) = calm[key], key
        known = [
            (one["input_sha256"], one["headline_ids"], month.returns[name, session, ticker])
            for name, one in (("calm", other), ("disturbed", row))
        ]
        if known[0] == known[1]:
            assert row["p_up"] == pytest.approx(other["p_up"], abs=1e-12), key
        elif not np.isclose(row["p_up"], other["p_up"]):
            differing[session] += 1
            assert set(NEWS) & set(month.dead[session]), key
        assert set(row["headline_ids"]) <= set(other["headline_ids"]), key
    counted = ", ".join(f"{day} {count}" for day, count in sorted(differing.items()))
    print(f"\n{DAYS} days: {differing.total()} of {len(calm)} predictions differ ({counted})")
    assert differing or not any(set(NEWS) & set(dead) for dead in month.dead.values())


def test_without_any_news_source_a_prediction_says_that_it_rests_on_no_headline(
    month: Month,
) -> None:
    _, made = _forward(month)
    silent = [
        day
        for day, dead in month.dead.items()
        if set(dead) == set(NEWS) and "partial" not in dead.values()
    ]
    for day in silent:
        rows = [row for (_, session, _), row in made.items() if session == day]
        assert len({row["ticker"] for row in rows}) == len(TICKERS)
        seen = {headline for row in rows for headline in row["headline_ids"]}
        # What was known the morning before is known still.
        assert len(seen) < len(TICKERS), seen
        assert any(row["headline_ids"] == [] for row in rows)
