"""Publishing headlines: idempotence, revisions, and stories whatever the order or batches."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.builders.warehouse import OpenLake
from warehouse.lake import Lake
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import (
    HEADLINE_TICKERS,
    HEADLINES,
    PARTITIONS,
    REJECTS,
    HeadlineBatch,
    PublishError,
)
from warehouse.tables.headlines import (
    PUBLISHER,
    WINDOW,
    HeadlinePublication,
    join_stories,
    publish_headlines,
)
from warehouse.tables.near_duplicates import near_duplicates

NOW = datetime(2020, 3, 4, 12, tzinfo=UTC)
NOTHING = HeadlinePublication(0, 0, 0, 0, 0)


def headline(headline_id: str, title: str, at: datetime = NOW, **other: Any) -> dict[str, Any]:
    row = {
        "headline_id": headline_id, "source": "wire", "title": title, "summary": None,
        "url": f"http://wire.example/{headline_id}", "guid": None, "published_at": at,
        "first_seen_at": at, "available_at": at, "granularity": "second",
        "availability": "observed", "synthetic": False, "payload_id": "p1",
    }  # fmt: skip
    return row | other


def publish(lake: Lake, *rows: dict[str, Any], now: datetime = NOW) -> HeadlinePublication:
    about = [
        {"headline_id": row["headline_id"], "ticker": "AAPL", "method": "feed"} for row in rows
    ]
    reject = {
        "kind": "headline", "source": "wire", "key": "AAPL", "reason": "undated", "record": "{}",
        "payload_id": "p1",
    }  # fmt: skip
    outcome = {
        "source": "wire", "key": "AAPL", "range_start": date(2020, 3, 4),
        "range_end": date(2020, 3, 4), "state": "done", "rows": len(rows), "payload_id": "p1",
        "error": None,
    }  # fmt: skip
    batch = HeadlineBatch(
        headlines=pa.Table.from_pylist(list(rows), schema=HEADLINES),
        headline_tickers=pa.Table.from_pylist(about, schema=HEADLINE_TICKERS),
        rejects=pa.Table.from_pylist([reject], schema=REJECTS),
        payloads=(Payload("wire", "http://wire.example/rss", 200, (), b"x", NOW),),
        partitions=pa.Table.from_pylist([outcome], schema=PARTITIONS),
    )
    return publish_headlines(lake, batch, now=now)


def stored(lake: Lake, headline_id: str) -> dict[str, Any]:
    query = "SELECT * FROM headlines WHERE headline_id = $id"
    (row,) = lake.sql(query, {"id": headline_id}).to_pylist()
    return dict(row)


def test_rerun_is_idempotent_and_commits_no_snapshot(lake: Lake) -> None:
    assert publish(lake, headline("a", "Apple rises")) == HeadlinePublication(1, 0, 1, 0, 1)
    before = lake.snapshot_id()
    again = headline("a", "Apple rises", first_seen_at=NOW + timedelta(hours=1), payload_id="p2")
    assert publish(lake, again, now=NOW + timedelta(hours=1)) == NOTHING
    assert lake.snapshot_id() == before
    assert stored(lake, "a")["first_seen_at"] == NOW, "the first observation is kept"


def test_lookahead_an_edit_is_available_from_when_it_was_seen(lake: Lake) -> None:
    publish(lake, headline("a", "Apple rises", guid="g"))
    later = NOW + timedelta(hours=5)
    edit = headline("b", "Apple falls", guid="g", first_seen_at=later, available_at=later)
    assert publish(lake, edit, now=later).revised == 1
    row = stored(lake, "a")
    assert (row["title"], row["revision"]) == ("Apple falls", 2)
    assert row["available_at"] == row["edited_at"] == later
    assert row["published_at"] == row["first_seen_at"] == NOW
    (earlier,) = lake.sql("SELECT * FROM headline_revisions").to_pylist()
    assert (earlier["title"], earlier["revision"]) == ("Apple rises", 1)
    assert (earlier["available_at"], earlier["superseded_at"]) == (NOW, later)


def test_stale_copy_of_an_edited_headline_is_no_second_edit(lake: Lake) -> None:
    publish(lake, headline("a", "Apple rises", guid="g"))
    publish(lake, headline("b", "Apple falls", guid="g"))
    before = lake.snapshot_id()
    assert publish(lake, headline("a", "Apple rises", guid="g")) == NOTHING
    assert lake.snapshot_id() == before


def test_guid_shared_by_two_incoming_headlines_is_no_identity(lake: Lake) -> None:
    publish(lake, headline("a", "Apple rises", guid="g"))
    two = headline("b", "Boeing delays jet", guid="g"), headline("c", "Citi hires", guid="g")
    publish(lake, *two)
    assert lake.sql("SELECT count(*) AS n FROM headlines").column("n").to_pylist() == [3]


def test_same_words_within_three_days_are_one_story(lake: Lake) -> None:
    publish(
        lake,
        headline("late", "UPDATE 1-Apple to buy Beats, sources", NOW + timedelta(days=1)),
        headline("far", "Apple to buy Beats - sources", NOW + timedelta(days=9)),
    )
    assert stored(lake, "late")["story_id"] == "late"
    publish(lake, headline("early", "APPLE to buy Beats; sources"))
    assert stored(lake, "late")["story_id"] == "early"
    assert stored(lake, "early")["story_id"] == "early"
    assert stored(lake, "far")["story_id"] == "far"


def test_batch_with_a_repeated_headline_is_refused_whole(lake: Lake) -> None:
    before = lake.snapshot_id()
    with pytest.raises(PublishError, match="2 rows but 1 distinct"):
        publish(lake, headline("a", "Apple"), headline("a", "Apple"))
    assert lake.snapshot_id() == before


Worded = tuple[str, str, datetime]


def publish_wire(lake: Lake, worded: list[Worded], *, join: bool = True) -> None:
    rows = [headline(headline_id, title, at) for headline_id, title, at in worded]
    batch = HeadlineBatch(headlines=pa.Table.from_pylist(rows, schema=HEADLINES))
    publish_headlines(lake, batch, now=NOW, join=join)


def stories(lake: Lake) -> dict[str, str]:
    rows = lake.sql("SELECT headline_id, story_id FROM headlines").to_pylist()
    return {row["headline_id"]: row["story_id"] for row in rows}


DUPLICATES = {
    "in capitals": "APPLE LIFTS OUTLOOK ON STRONG DEMAND!",
    "with its publisher": "Apple lifts outlook on strong demand - Reuters",
    "with a wire's prefix": "UPDATE 2-Apple lifts outlook on strong demand",
    "passed on": "RT @wire: Apple lifts outlook on strong demand",
    "with a word more": "Apple lifts outlook on very strong demand",
    "in another form of a word": "Apple lifted outlook on strong demand",
    "with its ticker": "Apple (NASDAQ: AAPL) lifts outlook on strong demand",
    "with its paper": "Apple lifts outlook on strong demand | The Harlow Gazette",
    "cut off": "Apple lifts outlook on strong...",
    "with a source": "Apple lifts outlook on strong demand, sources say",
}
OTHER_NEWS = [
    ("Apple lifts outlook on strong demand", "Apple cuts outlook on strong demand"),
    ("Apple lifts outlook by 5% this quarter", "Apple lifts outlook by 7% this quarter"),
    ("Broker moves Apple to buy from hold", "Broker moves Apple to hold from buy"),
    ("Orvane wins patent case against Apple", "Apple wins patent case against Orvane"),
    ("Apple to sign the supply pact", "Apple not to sign the supply pact"),
    ("Broker upgrades Apple to strong buy", "Broker downgrades Apple to strong buy"),
    ("Apple rises", "Apple rises sharply"),
    ("Harlow shares move +5% after results today", "Harlow shares move -5% after results today"),
    ("Harlow to pay dividend of $0.30 a share", "Harlow to pay dividend of €0.30 a share"),
    ("Harlow to pay dividend of £12 a share", "Harlow to pay dividend of 12 a share"),
    ("Harlow Metals - Buy", "Harlow Metals - Sell"),
    ("Morning Brief | Stocks Rise", "Morning Brief | Stocks Fall"),
    (
        "Harlow and Kestrel agree on merger talks",
        "Harlow and Kestrel agree on merger talks collapse",
    ),
    ("Harlow can sign the supply pact", "Harlow can't sign the supply pact"),
    ("Harlow to acquire Kestrel for cash", "Harlow rumored to acquire Kestrel for cash"),
    ("Discover shares fall after profit misses", "Discovery shares fall after profit misses"),
    ("8-K  - Current report", "8-K  - Current report"),
    ("Form 10-Q/A: Harlow Metals Inc", "Form 10-Q/A: Harlow Metals Inc"),
]


def pairs(headlines: Sequence[tuple[str, str, str]]) -> list[Worded]:
    """Pairs of headlines five hours apart, each pair ten days after the one before."""
    rows = []
    for number, (name, one, other) in enumerate(headlines):
        at = NOW + timedelta(days=10 * number)
        rows += [(f"{name} 1", one, at), (f"{name} 2", other, at + timedelta(hours=5))]
    return rows


def test_near_duplicate_headline_is_the_same_story(lake: Lake) -> None:
    first = "Apple lifts outlook on strong demand"
    publish_wire(lake, pairs([(name, first, other) for name, other in DUPLICATES.items()]))
    expected = {f"{name} {which}": f"{name} 1" for name in DUPLICATES for which in (1, 2)}
    assert stories(lake) == expected


SAME_NEWS = [
    ("Harlow Metals (NYSE: HRL) to open plant", "Harlow Metals to open plant"),
    ("U.S. clears Harlow deal", "US clears Harlow deal"),
    ("Harlow to buy Kestrel for $1B", "Harlow to buy Kestrel for $1 billion"),
    ("Harlow up 5%", "Harlow up 5 percent"),
    (
        "Harlow Metals to open a second plant in Ohio after winning state aid",
        "Harlow Metals to open a second plant in Ohio after…",
    ),
]


def test_other_spelling_of_the_same_news_is_one_story(lake: Lake) -> None:
    publish_wire(lake, pairs([(other, one, other) for one, other in SAME_NEWS]))
    found = stories(lake)
    assert all(found[f"{name} 2"] == f"{name} 1" for _, name in SAME_NEWS)


def test_other_news_is_another_story(lake: Lake) -> None:
    publish_wire(lake, pairs([(other, one, other) for one, other in OTHER_NEWS]))
    found = stories(lake)
    assert found == {headline: headline for headline in found}


def wire_of(seed: int) -> list[Worded]:
    """Forty headlines of a few stories, repeated over two weeks in changed words."""
    chance = random.Random(seed)
    stems = [f"Company {letter} lifts outlook on strong {letter} demand" for letter in "ABCDEF"]
    forms = ["{}", "{}, sources say", "UPDATE 1-{}", "In brief: {}", "{} - The Times"]
    headlines = []
    for number in range(40):
        title = chance.choice(forms).format(chance.choice(stems))
        if chance.random() < 0.3:
            title = title.replace("lifts", "lifted")
        headlines.append((f"h{number:02}", title, NOW + timedelta(hours=chance.randrange(14 * 24))))
    return headlines


def test_stories_do_not_depend_on_order_or_batches(open_lake: OpenLake, tmp_path: Path) -> None:
    headlines, chance = wire_of(3), random.Random(3)
    found = []
    for way in range(3):
        with open_lake(tmp_path / str(way)) as lake:
            if way == 0:
                publish_wire(lake, headlines)
            else:
                chance.shuffle(headlines)
                for begin in range(0, len(headlines), 12 * way):
                    publish_wire(lake, headlines[begin : begin + 12 * way], join=way == 1)
                join_stories(lake, NOW, NOW + timedelta(days=14))
            found.append(stories(lake))
    assert found[0] == found[1] == found[2]
    assert 6 < len(set(found[0].values())) < 35


def test_title_that_comes_back_every_day_is_no_story_without_an_end(
    open_lake: OpenLake, tmp_path: Path
) -> None:
    """A daily column, and news that is retold for three weeks; in any order and any batches."""
    column = [
        (f"c{day:02}", "Five stocks to watch today", NOW + timedelta(days=day)) for day in range(95)
    ]
    news = [
        (f"n{day:02}", "Harlow to buy Kestrel for cash", NOW + timedelta(days=40 + 2 * day))
        for day in range(11)
    ]
    headlines, chance, found = [*column, *news], random.Random(5), []
    for way, size in enumerate((len(headlines), 30, 23)):
        with open_lake(tmp_path / str(way)) as lake:
            for begin in range(0, len(headlines), size):
                publish_wire(lake, headlines[begin : begin + size])
            found.append(stories(lake))
        chance.shuffle(headlines)
    assert found[0] == found[1] == found[2]
    assert {found[0][name] for name, _, _ in news} == {"n00"}
    lasting = Counter(found[0][name] for name, _, _ in column)
    assert max(lasting.values()) <= 30
    assert len(lasting) in (4, 5)


def test_templates_and_repeats_are_compared_without_a_quadratic_blow_up() -> None:
    """Twenty times the texts may take some forty times as long, not four hundred times."""

    def seconds(count: int) -> float:
        texts = [f"company {n} declares regular quarterly cash dividend" for n in range(count)]
        texts += [f"fund aaa{chr(97 + n % 26)}{n} sells all its shares" for n in range(count)]
        begun = time.process_time()
        near_duplicates(pa.array(texts))
        return time.process_time() - begun

    seconds(100)
    assert seconds(40_000) < 60 * max(seconds(2_000), 0.02)


def test_other_headlines_of_one_address_are_no_edits(lake: Lake) -> None:
    page, day = "https://quotes.example/AAPL", timedelta(days=2)
    opens = headline("a", "Harlow Metals opens second smelter", url=page)
    leaves = headline("b", "Harlow Metals finance chief resigns", NOW + day, url=page)
    edited = headline("c", "Harlow Metals opens a second smelter", url=page)
    publish(lake, opens)
    assert publish(lake, leaves).added == 1
    assert publish(lake, edited).revised == 1
    titles = lake.sql("SELECT title FROM headlines ORDER BY title")["title"].to_pylist()
    assert titles == [leaves["title"], edited["title"]]


PLAIN = (
    "url", "cannot", "not", "rt", "RT", "in", "In", "brief", "BRIEF", "update", "Updated", "wrapup",
    "refile", "corrected", "correct", "form", "Form", "K", "I", "a", "million", "mn", "pct", "http",
    "https", "Curl", "dont", "Apple", "profit", "at", "user", "atuser", "billion", "nyse", "SC",
)  # fmt: skip


def test_a_plain_title_that_is_passed_through_says_what_the_patterns_make_of_it() -> None:
    """A sign at its end that no pattern minds sends the same title through all of them."""
    chance = random.Random(3)
    titles = [
        *PLAIN,
        *(" ".join(chance.choices(PLAIN, k=chance.randint(2, 5))) for _ in range(3_000)),
    ]
    words = [story_words([title + end for title in titles]) for end in ("", "!")]
    assert words[0] == words[1]
    assert len(set(words[0])) > 2_000


def test_an_id_observed_again_is_its_first_observation_and_others_stay() -> None:
    chance = random.Random(4)
    rows = [
        {"headline_id": str(chance.randrange(300)), "first_seen_at": NOW, "position": at}
        | {"title": f"title {at}", "published_at": NOW - timedelta(minutes=chance.randrange(99))}
        for at in range(400)
    ]
    rest = dict.fromkeys(("source", "granularity", "availability", "payload_id"), "x")
    rest |= {"summary": None, "url": None, "guid": None, "synthetic": False, "available_at": NOW}
    with scratch() as engine:
        table = pa.Table.from_pylist([row | rest for row in chance.sample(rows, len(rows))])
        found = engine.read("headlines_identified", identified=table).to_pylist()
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["headline_id"], row)
    expected = sorted(first.values(), key=lambda row: (row["published_at"], row["headline_id"]))
    assert [row["title"] for row in found] == [row["title"] for row in expected]
    assert len(found) < len(rows)


def story_words(titles: list[str]) -> list[str]:
    """What each title says for comparison, in order."""
    headlines = pa.table(
        {
            "headline_id": [f"{at:05}" for at in range(len(titles))],
            "story_id": [""] * len(titles),
            "published_at": pa.array([NOW] * len(titles), pa.timestamp("us", "UTC")),
            "guid": pa.nulls(len(titles), pa.string()),
            "title": titles,
        }
    )
    span = {"first": NOW, "last": NOW, "window": WINDOW, "publisher": PUBLISHER}
    with scratch() as engine:
        found: list[str] = engine.read("story_words", span, headlines=headlines)[
            "words"
        ].to_pylist()
    return found
