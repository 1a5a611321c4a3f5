"""Stories: what is one, what is not, and that neither order nor batches decide it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from warehouse.lake import Lake, LakeSpec
from warehouse.tables.batches import HEADLINES, HeadlineBatch
from warehouse.tables.headlines import join_stories, publish_headlines
from warehouse.tables.near_duplicates import near_duplicates

NOW = datetime(2020, 3, 4, 12, tzinfo=UTC)

Worded = tuple[str, str, datetime]


def publish(lake: Lake, headlines: list[Worded], *, join: bool = True) -> None:
    rows = [
        {
            "headline_id": headline_id,
            "source": "wire",
            "title": title,
            "published_at": at,
            "first_seen_at": at,
            "available_at": at,
            "availability": "observed",
            "synthetic": False,
            "payload_id": "p",
        }
        for headline_id, title, at in headlines
    ]
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
    publish(lake, pairs([(name, first, other) for name, other in DUPLICATES.items()]))
    expected = {f"{name} {which}": f"{name} 1" for name in DUPLICATES for which in (1, 2)}
    assert stories(lake) == expected


def test_other_news_is_another_story(lake: Lake) -> None:
    publish(lake, pairs([(other, one, other) for one, other in OTHER_NEWS]))
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


def test_stories_do_not_depend_on_order_or_batches(tmp_path: Path) -> None:
    headlines, chance = wire_of(3), random.Random(3)
    found = []
    for way in range(3):
        spec = LakeSpec(
            catalog=f"sqlite:{tmp_path / f'{way}.sqlite'}",
            storage=str(tmp_path / f"lake{way}"),
            lock=tmp_path / f"{way}.lock",
        )
        with Lake.open(spec) as lake:
            if way == 0:
                publish(lake, headlines)
            else:
                chance.shuffle(headlines)
                for begin in range(0, len(headlines), 12 * way):
                    publish(lake, headlines[begin : begin + 12 * way], join=way == 1)
                join_stories(lake, NOW, NOW + timedelta(days=14))
            found.append(stories(lake))
    assert found[0] == found[1] == found[2]
    assert 6 < len(set(found[0].values())) < 35


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
