"""The gate refuses a batch that breaks its suite, in words; Data Docs show it, offline, as text."""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from validation.columnar import holds
from validation.data_docs import runs
from validation.gate import CHECKS, BatchRefused, SuiteError, check
from validation.suites import SUITES
from warehouse.tables.batches import ACTIONS, BARS, FEATURES, HEADLINE_TICKERS, HEADLINES

NOW = datetime(2024, 3, 1, 22, tzinfo=UTC)
PAYLOAD = "a" * 64


def bars(rows: int = 6, **columns: list[object]) -> pa.Table:
    """Good bars, three tickers side by side, with whole columns replaced on demand."""
    sessions = [date(2000, 1, 3) + timedelta(days=row // 3) for row in range(rows)]
    good: dict[str, list[object]] = {
        "ticker": [("AAPL", "BRK-B", "^GSPC")[row % 3] for row in range(rows)],
        "session": list(sessions), "open": [10.0] * rows, "high": [11.0] * rows,
        "low": [9.0] * rows, "close": [10.5] * rows, "volume": [1000] * rows,
        "vendor_adj_close": [None] * rows, "basis_date": list(sessions), "source": ["bokeh"] * rows,
        "payload_id": [PAYLOAD] * rows,
    }  # fmt: skip
    return pa.table(good | columns, schema=BARS)


def headlines(**columns: list[object]) -> pa.Table:
    """Two good headlines, with whole columns replaced on demand."""
    good: dict[str, list[object]] = {
        "headline_id": ["h1", "h2"], "source": ["wire", "wire"],
        "title": ["Apple beats", "IBM misses"], "summary": [None, ""], "url": [None, None],
        "guid": [None, None], "published_at": [NOW, NOW], "first_seen_at": [NOW, NOW],
        "available_at": [NOW, NOW], "granularity": ["second", "day"],
        "availability": ["observed", "asserted"], "synthetic": [True, True],
        "payload_id": [PAYLOAD, PAYLOAD],
    }  # fmt: skip
    return pa.table(good | columns, schema=HEADLINES)


def failing(suite: str, table: pa.Table) -> list[str]:
    """The expectations of `suite` that `table` breaks."""
    report = check(suite, table, batch="test", checked_at=NOW)
    return [row["expectation"] for row in report.results.to_pylist() if not row["success"]]


def good_batches() -> dict[str, pa.Table]:
    """A good batch of two rows or more for each suite."""
    actions = pa.table(
        {
            "ticker": ["AAPL", "IBM"], "ex_date": [date(2000, 6, 21)] * 2,
            "kind": ["split", "dividend"], "value": [2.0, 0.5],
            "basis_date": [date(2000, 6, 21)] * 2, "source": ["bokeh"] * 2,
            "payload_id": [PAYLOAD] * 2,
        },
        schema=ACTIONS,
    )  # fmt: skip
    tickers = pa.table(
        {"headline_id": ["h1", "h1"], "ticker": ["AAPL", "IBM"], "method": ["feed", "alias"]},
        schema=HEADLINE_TICKERS,
    )
    known = {
        "feature_set": "f", "ticker": "*", "known_at": NOW, "granularity": "second", "name": "n",
        "number": None, "text": None, "first_seen_at": NOW, "available_at": NOW,
        "payload_id": PAYLOAD,
    }  # fmt: skip
    features = pa.Table.from_pylist([known, {**known, "name": "m", "number": 1.0}], FEATURES)
    return {
        "bars": bars(),
        "actions": actions,
        "headlines": headlines(),
        "headline_tickers": tickers,
        "features": features,
    }


def test_good_batches_pass_every_suite() -> None:
    good = good_batches()
    assert good.keys() == SUITES.keys()
    for suite, table in good.items():
        assert failing(suite, table) == []
        assert [rule.says for rule in SUITES[suite] if not holds(rule, table)] == []


ODD = {
    pa.string(): [None, "", "\u00a0", "AAPL\n", "up\x07", "aapl", "h1", "split"],
    pa.float64(): [None, float("nan"), float("inf"), 0.0, -1.0, 1e7, 1.5e7, -float("inf")],
    pa.int64(): [None, 0, -1, 10**13, 10**13 + 1],
    pa.date32(): [None, date(1900, 1, 1), date(2100, 1, 1)],
    pa.timestamp("us", "UTC"): [None, NOW - timedelta(1), NOW + timedelta(1)],
    pa.bool_(): [None, False],
}


def odd_batch(good: pa.Table, number: int) -> pa.Table:
    """The batch with an odd value at the head of each column: none in the first, then any."""
    arrays, chance = [], random.Random(number)
    for name in good.column_names:
        column = good[name]
        odd = chance.choice(ODD[column.type]) if number else None
        first = pa.array([odd], column.type)
        arrays.append(pa.chunked_array([first, *column.slice(1).chunks], column.type))
    return pa.table(arrays, names=good.column_names)


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_what_arrow_lets_pass_great_expectations_passes(suite: str, tmp_path: Path) -> None:
    """Rule by rule, and the other way round: what breaks a rule is refused by either."""
    good = good_batches()[suite]
    batches = [odd_batch(good, number) for number in range(8)]
    batches += [
        pa.concat_tables([good, good.slice(0, 1)]),
        good.drop_columns(good.column_names[:1]),
    ]
    broken: set[str] = set()
    for at, table in enumerate(batches):
        report = check(suite, table, batch=str(at), checked_at=NOW, docs_root=tmp_path)
        found = report.results.to_pylist()
        refused = {row["expectation"] for row in found if not row["success"]}
        assert report.success == (not refused)
        assert not [
            rule.says for rule in SUITES[suite] if rule.says in refused and holds(rule, table)
        ]
        broken |= refused
    assert broken == {rule.says for rule in SUITES[suite]}, "a rule that was never broken"


def test_a_passed_batch_without_a_page_has_the_report_of_one_with_a_page(tmp_path: Path) -> None:
    for suite, table in good_batches().items():
        with_page = check(suite, table, batch="b", checked_at=NOW, docs_root=tmp_path)
        without = check(suite, table, batch="b", checked_at=NOW, docs_root=tmp_path, document=False)
        assert with_page.page is not None
        assert without.page is None
        assert without.results.equals(with_page.results)


def test_a_refused_batch_has_a_page_whether_or_not_one_is_asked_for(tmp_path: Path) -> None:
    broken = bars(high=[8.0] + [11.0] * 5)
    report = check("bars", broken, batch="b", checked_at=NOW, docs_root=tmp_path, document=False)
    assert report.page is not None
    assert report.page.is_file()


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_suite_says_each_rule_once(suite: str) -> None:
    says = [rule.says for rule in SUITES[suite]]
    assert len(says) == len(set(says)), "results are matched to rules by these words"


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"high": [8.0] + [11.0] * 5}, "high is never below low"),
        ({"close": [float("nan")] + [10.5] * 5}, "close is filled"),
        ({"open": [float("inf")] + [10.0] * 5}, "open is finite, above 0 and at most 1e+07"),
        ({"low": [0.0] + [9.0] * 5}, "low is finite, above 0 and at most 1e+07"),
        ({"low": [-9.0] + [9.0] * 5}, "low is finite, above 0 and at most 1e+07"),
        ({"volume": [-1] + [1] * 5}, "volume is finite, at least 0 and at most 1e+13"),
        ({"ticker": ["AAPL"] * 6}, "the combination of ticker, session occurs once"),
        ({"ticker": ["aapl; drop", *"BCDEF"]}, "ticker is a ticker symbol"),
        ({"basis_date": [date(1999, 1, 1)] * 6}, "basis_date is never below session"),
        ({"payload_id": ["none"] * 6}, "payload_id is the sha256 of a landed payload"),
    ],
)
def test_one_bad_bar_refuses_the_batch(broken: dict[str, list[object]], rule: str) -> None:
    assert rule in failing("bars", bars(**broken))


def test_headline_available_before_it_was_published_is_refused() -> None:
    early = headlines(available_at=[NOW - timedelta(seconds=1), NOW])
    assert failing("headlines", early) == ["available_at is never below published_at"]


def test_control_characters_in_a_title_are_refused() -> None:
    assert failing("headlines", headlines(title=["up\x07", "fine"])) == [
        "title holds no control character"
    ]


def test_empty_batch_passes_but_must_have_its_columns() -> None:
    assert failing("bars", bars().slice(0, 0)) == []
    assert "high is filled" in failing("bars", bars().drop_columns(["high"]))


def test_refusal_names_rule_count_and_value_and_says_nothing_was_published() -> None:
    broken = bars(high=[8.0] + [11.0] * 5)
    report = check("bars", broken, batch="bokeh AAPL 2000", checked_at=NOW)
    assert not report.success
    with pytest.raises(BatchRefused) as caught:
        report.require()
    message = str(caught.value)
    assert "'bokeh AAPL 2000' (6 rows) was refused by suite 'bars'" in message
    assert "high is never below low: 1 of 6 rows break it, e.g. (8.0, 9.0)" in message
    assert "Nothing was published" in message
    assert "\n" not in message


def test_results_are_rows_of_the_checks_table_and_repeat_exactly() -> None:
    first = check("bars", bars(), batch="b", checked_at=NOW)
    again = check("bars", bars(), batch="b", checked_at=NOW)
    assert first.require() is first
    assert first.results.schema == CHECKS
    assert first.results.equals(again.results)
    assert len(set(first.results["check_id"].to_pylist())) == first.results.num_rows


def test_unknown_suite_and_naive_time_are_named() -> None:
    with pytest.raises(SuiteError, match="'bears'; expected one of bars, actions"):
        check("bears", bars(), batch="b", checked_at=NOW)
    with pytest.raises(SuiteError, match="no time zone"):
        check("bars", bars(), batch="b", checked_at=datetime(2024, 3, 1))  # noqa: DTZ001


def test_threads_checking_at_once_do_not_mix_their_results() -> None:
    def passes(number: int) -> bool:
        table = bars() if number % 2 else bars(high=[8.0] * 6)
        return check("bars", table, batch=str(number), checked_at=NOW).success

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(passes, range(6))) == [False, True] * 3


def test_a_batch_of_twenty_thousand_rows_takes_no_more_than_a_few_small_ones() -> None:
    check("bars", bars(), batch="warm", checked_at=NOW)
    small = min(_seconds(bars()) for _ in range(3))
    large = min(_seconds(bars(20_000)) for _ in range(2))
    assert large < 10 * small + 0.5


def _seconds(table: pa.Table) -> float:
    began = time.perf_counter()
    assert check("bars", table, batch="timing", checked_at=NOW).success
    return time.perf_counter() - began


ATTACK = "<script>alert('owned')</script><img src=http://evil.example/x>\x07"


def tagged(ticker: str) -> pa.Table:
    """One row for the headline_tickers suite."""
    return pa.table({"headline_id": ["h1"], "ticker": [ticker], "method": ["feed"]})


def checked(ticker: str, root: Path, batch: str = "b", at: datetime = NOW) -> Path:
    """Check one row; the page of that run."""
    report = check("headline_tickers", tagged(ticker), batch=batch, checked_at=at, docs_root=root)
    assert report.page is not None
    return report.page


def test_each_run_keeps_its_page_and_the_index_lists_the_latest_first(tmp_path: Path) -> None:
    for number in range(3):
        at = NOW + timedelta(days=number)
        assert checked("AAPL", tmp_path, f"day {number}", at).is_file()
    refused = checked("aapl", tmp_path, "../../etc")
    assert refused.parent == tmp_path / "validations" / "headline_tickers"
    listed = runs(tmp_path)
    assert [run.checked_at for run in listed] == sorted(run.checked_at for run in listed)[::-1]
    assert [run.success for run in listed].count(False) == 1
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "4 validation runs, 1 refused" in index
    for run in listed:
        assert (tmp_path / run.href).is_file()
        assert run.href in index
    assert not list(tmp_path.rglob("*.partial"))


def test_no_page_asks_for_anything_outside_itself(tmp_path: Path) -> None:
    checked("a b", tmp_path)
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"https?://|<script|<link|<img|@import|url\(", text), page.name
        assert "Content-Security-Policy" in text


def test_hostile_values_are_shown_as_text(tmp_path: Path) -> None:
    shown = checked(ATTACK, tmp_path, ATTACK)
    for page in tmp_path.rglob("*.html"):
        assert "<script" not in page.read_text(encoding="utf-8")
        assert "<img" not in page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in shown.read_text(encoding="utf-8")


def test_the_page_of_the_same_run_has_the_same_bytes(tmp_path: Path) -> None:
    one, other = (checked("a b", tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == other


def test_headings_go_down_one_level_at_a_time(tmp_path: Path) -> None:
    checked("a b", tmp_path)
    for page in tmp_path.rglob("*.html"):
        levels = [int(level) for level in re.findall(r"<h([1-6])", page.read_text("utf-8"))]
        assert levels[0] == 1
        assert all(now - before <= 1 for before, now in pairwise(levels))
