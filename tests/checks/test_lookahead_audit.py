"""The audit is quiet on the real pipeline and catches leaks built into copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from tasks.checks.lookahead import CHECKS, AuditReport, audit_lookahead
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec
from warehouse.lake import Lake, sql

NOW = datetime(2019, 6, 1, tzinfo=UTC)
SPEC = DatasetSpec(
    label=LabelSpec(horizon=2),
    render=RenderSpec(
        template="{returns}|{volume_change}|{market_return}|{days_since_news}\n{headlines}",
        max_headlines=9,
        return_window=2,
    ),
    split=SplitSpec(train_until=date(2019, 4, 1), validation_until=date(2019, 4, 10)),
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, filler_of, open_lake) -> Iterator[Lake]:
    """Three tickers, forty sessions; news at all hours, some seen late, edited or repeated."""
    root = tmp_path_factory.mktemp("audited")
    with open_lake(root) as lake:
        fill = filler_of(lake)
        calendar = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 4, 26)).to_pylist()
        for step, ticker in enumerate(("AAA", "BBB", "CCC")):
            prices = [(row["session"], 90.0 + (n * 7 + step * 3) % 13, 91.0 + (n * 5 + step) % 11)
                      for n, row in enumerate(calendar)]  # fmt: skip
            for n in range(0, len(prices), 4):
                fill.bars(ticker, prices[n : n + 4], volume=1000 + 100 * n)
            for hours, word in ((-8, "night"), (2, "noon"), (7, "evening")):
                rows = [(row["open_ts"] + timedelta(hours=hours), f"{word} {n}")
                        for n, row in enumerate(calendar) if (n + step + hours) % 3]  # fmt: skip
                fill.news(ticker, rows)
            seen_late = [(row["open_ts"] - timedelta(hours=2), "late") for row in calendar[::4]]
            fill.news(ticker, seen_late, seen_after=timedelta(hours=3), availability="observed")
            (first,) = fill.news(ticker, [(calendar[9]["open_ts"] - timedelta(hours=5), "first")])
            again = [(row["open_ts"] - timedelta(hours=4), "again") for row in calendar[10:30:9]]
            fill.news(ticker, again, story=first)
            fill.edit(first, calendar[9]["close_ts"], "edited")
        refresh_examples(lake, SPEC, now=NOW)
        yield lake


def audit(lake: Lake, *checks: str) -> AuditReport:
    return audit_lookahead(lake, SPEC, seed=3, moments=1, plants=30, checks=checks or CHECKS)


def test_audit_passes_on_the_real_pipeline(audited) -> None:
    before = audited.snapshot_id()
    report = audit(audited)
    assert report.passed, report.words()
    assert report.words().startswith("Look-ahead audit of spec")
    assert audited.snapshot_id() == before
    assert audited.sql("select count(*) as n from examples")["n"][0].as_py() > 80


@dataclass(frozen=True)
class Leak:
    """An edit of one statement that lets the future in, and the check that must notice."""

    statement: str
    edits: dict[str, str]
    caught_by: str


BEFORE_DECISION = "t.available_at < d.decision_ts"
KNOWN_THEN = "a.decision_ts > v.known_from AND a.decision_ts <= v.known_until"
LATEST_TITLE = "SELECT n.title FROM headlines AS n WHERE n.headline_id = r.headline_id"
NOTHING_PURGED = {
    "b.label_end_ts > q.next_decision_ts": "false",
    "c.label_end_ts > f.next_decision_ts": "false",
}
LEAKS = {
    "same_day_close_as_previous_return": Leak(
        "labels", {"closed.cell = t.known_cell": "closed.cell = t.known_cell + 1"}, "truncated"
    ),
    "own_label_as_previous_return": Leak(
        "labels", {"round(w.previous_return, 10)": "round(w.own_return, 10)"}, "truncated"
    ),
    "clock_shifted_past_the_open": Leak(
        "sessions_clock", {"- $lead::INTERVAL": "+ INTERVAL 3 HOUR"}, "gate"
    ),
    "after_close_news": Leak(
        "examples_placed",
        {BEFORE_DECISION: "t.available_at < d.decision_ts + INTERVAL 8 HOUR"}, "gate",
    ),
    "news_at_the_very_decision": Leak(
        "examples_placed", {BEFORE_DECISION: "t.available_at <= d.decision_ts"}, "planted"
    ),
    "published_taken_for_available": Leak(
        "examples_placed",
        {"available_at, wording\n": "published_at AS available_at, wording\n"}, "gate",
    ),
    "headline_as_edited_later": Leak(
        "examples_gathered", {"h.source, r.title,": f"h.source, ({LATEST_TITLE}) AS title,"},
        "planted",
    ),
    "story_moved_to_its_last_version": Leak(
        "examples_repeats",
        {"ORDER BY position, published_at": "ORDER BY position DESC, published_at"}, "planted",
    ),
    "restated_prices_in_the_prompt": Leak(
        "examples_context", {KNOWN_THEN: "v.known_until = 'infinity'"}, "restated"
    ),
    "volume_of_the_session_itself": Leak(
        "examples_context",
        {"a.known_cell - back.back": "a.known_cell + 1 - back.back"}, "truncated",
    ),
    "market_of_the_session_itself": Leak(
        "examples_context",
        {"l.number, d.known_position": "l.number, d.known_position + 1"}, "truncated",
    ),
    "label_windows_across_the_cut": Leak("split_rows", NOTHING_PURGED, "split"),
    "splits_drawn_by_lot": Leak(
        "split_rows",
        {"WHEN session <= $train_until THEN 1": "WHEN day % 3 = 0 THEN 3", **NOTHING_PURGED},
        "split",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_audit_catches(name: str, audited) -> None:
    leak = LEAKS[name]
    leaky = sql.statement(leak.statement).text
    for old, new in leak.edits.items():
        assert old in leaky, f"the leak no longer fits the pipeline: {old}"
        leaky = leaky.replace(old, new)
    with sql.override(leak.statement, leaky):
        report = audit(audited, leak.caught_by)
    assert not report.passed, report.words()
    assert "LEAK" in report.words()
