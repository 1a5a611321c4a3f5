"""Which company a headline names: measured, and one test for each trap."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.ingest.headlines.identity import AliasError, load_aliases, resolve_tickers
from warehouse.lake.scratch import scratch

Named = list[set[str]]


def resolve(
    titles: Sequence[str], days: Sequence[str], tickers: Sequence[str] | None = None
) -> Named:
    at = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days]
    headlines = pa.table(
        {
            "headline_id": [str(number) for number in range(len(titles))],
            "title": list(titles),
            "published_at": pa.array(at, pa.timestamp("us", tz="UTC")),
        }
    )
    with scratch() as engine:
        found = resolve_tickers(headlines, load_aliases(), engine, tickers)
    named: defaultdict[int, set[str]] = defaultdict(set)
    for row in found.to_pylist():
        named[int(row["headline_id"])].add(row["ticker"])
    return [named[number] for number in range(len(titles))]


def score(wanted: Named, found: Named) -> tuple[float, float]:
    """Precision and recall over all (headline, ticker) pairs."""
    hits = sum(len(want & got) for want, got in zip(wanted, found, strict=True))
    return hits / sum(map(len, found)), hits / sum(map(len, wanted))


def curated() -> set[str]:
    """The companies that the labels know; the SEC's list knows all others too."""
    path = Path(str(files("tasks.ingest.headlines"))) / "presets" / "tickers.csv"
    with path.open(newline="") as stream:
        return {row["ticker"] for row in csv.DictReader(stream)} - {""}


def test_precision_and_recall_on_labelled_headlines() -> None:
    path = Path(__file__).with_name("labelled_headlines.csv")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = [set(row["tickers"].split(";")) - {""} for row in rows]
    labelled = set().union(*wanted, curated())
    found = [
        named & labelled
        for named in resolve([row["title"] for row in rows], [row["published"] for row in rows])
    ]
    precision, recall = score(wanted, found)
    assert len(rows) >= 300
    assert precision >= 0.97, precision
    assert recall >= 0.97, recall
    hard = [number for number, row in enumerate(rows) if not row["tickers"]]
    wrong = [rows[number]["title"] for number in hard if found[number]]
    assert len(wrong) <= 0.07 * len(hard), wrong


@pytest.mark.shared_data
def test_precision_and_recall_on_tagged_feed_items(shared_data: Path) -> None:
    """Tags name what an article mentions, titles name less: recall is bounded by that."""
    tagged: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((shared_data / "recorded" / "finnews_jsonc").glob("*.jsonc")):
        items = json.loads(path.read_text())
        for item in items if isinstance(items, list) else []:
            if item.get("tickers"):
                tagged[item["title"]] |= {tag.strip() for tag in item["tickers"].split(",")}
    known = curated()
    wanted = [tags & known for tags in tagged.values()]
    found = [named & known for named in resolve(list(tagged), ["2020-08-26"] * len(tagged))]
    precision, recall = score(wanted, found)
    assert len(tagged) >= 60
    assert precision >= 0.85, precision
    assert recall >= 0.42, recall


@pytest.mark.parametrize(
    ("day", "title", "tickers"),
    [
        ("2021-01-04", "Facebook fined over data", {"FB"}),
        ("2022-06-10", "Facebook fined over data", {"META"}),
        ("2011-01-04", "Facebook fined over data", set()),
        ("2014-04-02", "Google buys drone maker", {"GOOG"}),
        ("2014-04-04", "Google buys drone maker", {"GOOG", "GOOGL"}),
        ("2019-01-04", "Berkshire Hathaway trims bank stake", {"BRK-A", "BRK-B"}),
        ("2019-01-04", "Funds add BRK.B", {"BRK-B"}),
        ("2019-01-04", "$F and $T pay well", {"F", "T"}),
        ("2019-01-04", "F grade for T bone steaks", set()),
        ("2019-01-04", "COST OF SPY SATELLITES SOARS", set()),
        ("2019-01-04", "Costco (COST) and SPY rise", {"COST", "SPY"}),
        ("2019-01-04", "FORD RECALLS TRUCKS", {"F"}),
        ("2019-01-04", "ford crossing closed by flood", set()),
        ("2019-01-04", "McDonald’s trials robots", {"MCD"}),
        ("2024-06-03", "Broker Lowers Price Target to $78 on Harlow Metals", set()),
        ("2024-06-03", "Broker raises Target to $78", set()),
        ("2024-06-03", "Target to close nine stores", {"TGT"}),
        ("2024-06-03", "EU fines Meta 800 million euros", {"META"}),
        ("2024-06-03", "META: liquidity and growth fuel appeal", {"META"}),
        ("2024-06-03", "Palantir (NASDAQ: PLTR) jumps after contract", {"PLTR"}),
        ("2024-06-03", "$PLTR pops", {"PLTR"}),
        ("2024-06-03", "JPMorgan upgrades Harlow Metals to overweight", set()),
        ("2024-06-03", "Goldman Sachs upgrades Apple to buy", {"AAPL"}),
        ("2024-06-03", "JPMorgan upgraded to buy by Citigroup", {"JPM"}),
        ("2024-06-03", "Goldman Sachs profit beats estimates", {"GS"}),
        ("2024-06-03", "Harlow sells 3M shares to a fund", set()),
        ("2024-06-03", "Why 3M shares fell", {"MMM"}),
        ("2024-06-03", "Lennar beats, Illinois Tool Works raises guidance", {"LEN", "ITW"}),
    ],
)
def test_names_symbols_and_dates(day: str, title: str, tickers: set[str]) -> None:
    assert resolve([title], [day]) == [tickers]


def test_renamed_ticker_is_answered_under_the_symbol_that_is_asked_for() -> None:
    assert resolve(["Facebook beats"], ["2015-01-05"], ["META", "AAPL"]) == [{"META"}]
    assert resolve(["Facebook beats"], ["2015-01-05"], ["FB"]) == [{"FB"}]
    assert resolve(["Facebook beats"], ["2015-01-05"], ["AAPL"]) == [set()]


def test_alias_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "ticker,exchange,alias,kind,valid_from,valid_to\nA,XNYS,Agilent,nickname,1999-11-18,\n"
    )
    with pytest.raises(AliasError, match="kind 'nickname'; expected one of"):
        load_aliases(path)
    path.write_text("symbol,name\nA,Agilent\n")
    with pytest.raises(AliasError, match=r"could not be read.*Expected the columns"):
        load_aliases(path)


def test_marked_symbol_of_the_universe_counts_without_an_alias() -> None:
    titles = ["$XYZQ pops", "Harlow (NYSE: XYZQ) rises", "Harlow (NYSE:OTHR) rises"]
    found = resolve(titles, ["2024-06-03"] * 3, ["XYZQ", "AAPL"])
    assert found == [{"XYZQ"}, {"XYZQ"}, set()]


def test_aliases_of_the_user_are_merged_with_those_shipped(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "ticker,exchange,alias,kind,valid_from,valid_to\n"
        "HRL,XNYS,Harlow,name,1990-01-01,\nHRL,XNYS,Apple,name,1990-01-01,\n"
    )
    table = load_aliases(path)
    tickers, names = table["ticker"].to_pylist(), table["alias"].to_pylist()
    of = {alias: ticker for ticker, alias in zip(tickers, names, strict=True)}
    assert (of["Harlow"], of["Apple"], of["Microsoft"]) == ("HRL", "HRL", "MSFT")
