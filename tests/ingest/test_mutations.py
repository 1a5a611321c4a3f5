"""One byte or one field of an answer altered: refused, quarantined or a vintage, never unseen."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.answers import Responder
from sandbox.chart import Quoting
from sandbox.faults import FaultPlan
from sandbox.market import bokeh_market
from sandbox.messages import CHART_PATH, Request
from sandbox.newswire import NewsSpec
from tasks.dataset.spec.clock import exchange_sessions
from tests.ingest.mutations import (
    Judged,
    bytes_altered,
    elements_altered,
    fields_altered,
    judged_charts,
    judged_feeds,
)
from warehouse.lake import Lake

SEED = 12
BARS, ITEMS = 60, 8
"""How much of a recorded answer is kept: enough neighbours for every rule, little to read."""
WHOLE = os.environ.get("NEWSVANE_MUTATIONS") == "500"
CHARTS, FEEDS, FILINGS = (46, 24, 74) if WHOLE else (10, 6, 16)
"""Mutations of each recorded chart, news feed and EDGAR feed: 500 in all, or a fifth of them."""
NEWS = ("BreakingNews", "Reuters", "JapanToday", "LeMonde", "Spiegel", "FazNet", "LeParisien")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def tally(judged: Iterable[Judged], what: str) -> Counter[str]:
    """The count by outcome, having checked that nothing changed unseen."""
    found = list(judged)
    counts = Counter(one.outcome for one in found)
    print(f"{what}: {len(found)} mutations, {dict(sorted(counts.items()))}")
    unseen = [f"{one.mutation.what}\n  {one.evidence}" for one in found if one.outcome == "unseen"]
    assert not unseen, "\n".join(unseen)
    return counts


def sandbox_answer(path: str, **query: str) -> bytes:
    """What the sandbox vendor sends, on a Saturday after the last session it has."""
    responder = Responder(bokeh_market(), NewsSpec(), FaultPlan(), Quoting())
    now = int(datetime(2013, 3, 2, 12, tzinfo=UTC).timestamp())
    return responder.answer(Request("vendor", path, query), now).body


def test_altered_chart_changes_no_number_unseen(lake: Lake, tmp_path: Path) -> None:
    first, last = date(2012, 12, 1), date(2013, 3, 2)
    periods = (datetime(day.year, day.month, day.day, 5, tzinfo=UTC) for day in (first, last))
    period1, period2 = (str(int(moment.timestamp())) for moment in periods)
    body = sandbox_answer(f"{CHART_PATH}IBM", period1=period1, period2=period2)
    assert b"dividends" in body
    rng = random.Random(SEED)
    mutations = [*bytes_altered(body, rng, 12), *fields_altered(body, rng, 28)]
    calendar = exchange_sessions("XNYS", date(2012, 11, 1), date(2013, 3, 8))
    fetched = datetime(2013, 3, 2, 12, tzinfo=UTC)
    judged = judged_charts(lake, "IBM", body, mutations, calendar, fetched, tmp_path)
    assert tally(judged, "chart").keys() >= {"equal", "refused", "vintage"}


@pytest.mark.parametrize("path", ["/rss/2.0/headline", "/atom/IBM"])
def test_altered_feed_changes_no_word_and_no_time_unseen(lake: Lake, path: str) -> None:
    body = cut_feed(sandbox_answer(path, s="IBM"))
    rng = random.Random(SEED)
    mutations = [*bytes_altered(body, rng, 20), *elements_altered(body, rng, 20)]
    fetched = datetime(2013, 3, 2, 12, tzinfo=UTC)
    judged = judged_feeds(lake, "wire", body, mutations, fetched)
    assert tally(judged, path).keys() >= {"equal", "quarantined", "vintage"}


@pytest.mark.slow
@pytest.mark.shared_data
def test_mutations_of_recorded_answers_change_nothing_unseen(
    lake: Lake, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded, rng = shared_data / "recorded", random.Random(SEED)
    calendar = exchange_sessions("XNYS", date(2010, 6, 1), date(2022, 1, 31))
    total: Counter[str] = Counter()
    for file in sorted((recorded / "yahoo_chart_payloads").glob("*.json")):
        body, symbol = cut_chart(file.read_bytes()), file.name.partition(".")[0]
        half = CHARTS // 2
        mutations = [*bytes_altered(body, rng, half), *fields_altered(body, rng, half)]
        judged = judged_charts(lake, symbol, body, mutations, calendar, NOW, tmp_path)
        total += tally(judged, file.name)
    feeds = [(recorded / "rss_corpora/FeedReader" / f"Rss20{name}.xml", FEEDS) for name in NEWS]
    feeds += [(file, FILINGS) for file in sorted((recorded / "sec_edgar/current").glob("*.atom"))]
    for number, (file, count) in enumerate(feeds):
        body, half = cut_feed(file.read_bytes()), count // 2
        mutations = [*bytes_altered(body, rng, half), *elements_altered(body, rng, half)]
        total += tally(judged_feeds(lake, f"feed{number}.", body, mutations, NOW), file.name)
    with capsys.disabled():
        print(f"\n{total.total()} mutations: {dict(sorted(total.items()))}")
    assert total.total() >= (500 if WHOLE else 100)


def cut_chart(body: bytes) -> bytes:
    """The first bars of a chart, with the actions among them."""
    document = json.loads(body)
    result: dict[str, Any] = document["chart"]["result"][0]
    result["timestamp"] = result["timestamp"][:BARS]
    for columns in (*result["indicators"]["quote"], *result["indicators"]["adjclose"]):
        columns.update({name: values[:BARS] for name, values in columns.items()})
    last = result["timestamp"][-1]
    result["events"] = {
        kind: {key: one for key, one in found.items() if one["date"] <= last}
        for kind, found in result.get("events", {}).items()
    }
    return json.dumps(document).encode()


def cut_feed(body: bytes) -> bytes:
    """A feed with its first items."""
    ends = [found.end() for found in re.finditer(rb"</(?:item|entry)>", body)]
    return body[: ends[ITEMS - 1]] + body[ends[-1] :]
