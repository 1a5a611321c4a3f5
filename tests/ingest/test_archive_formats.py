"""Files as they are in the world: every layout gives the same rows, and every row is counted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.archive_file import ArchiveError, ArchiveMapping
from tasks.ingest.archives.formats import formats
from tasks.ingest.headlines.archive import HeadlineMapping, open_headlines
from tasks.ingest.prices.archive import PriceMapping, open_prices
from tasks.ingest.symbols import SYMBOL, SymbolError, require_symbols
from validation.suites import TICKER
from warehouse.lake import Lake

NOW = datetime(2026, 3, 1, 22, tzinfo=UTC)
JAN_2, JAN_3 = date(2024, 1, 2), date(2024, 1, 3)
HEADER = "ticker,date,open,high,low,close,volume"


def prices(path: Path, **declared: Any) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]], str]:
    """The bars of a file as (ticker, session, open, close, volume), its rejects, and its format."""
    mapping = PriceMapping(**({"source": "files", "basis": "session"} | declared))
    with open_prices(path, mapping, clock=lambda: NOW) as opened:
        batches = list(opened.batches(lambda payload: payload.payload_id))
        rows = opened.archive.rows
        words = opened.words()
    bars = pa.concat_tables([batch.bars for batch in batches])
    rejects = pa.concat_tables([batch.rejects for batch in batches])
    assert rows == sum(batch.rows for batch in batches) == bars.num_rows + rejects.num_rows
    kept = bars.select(["ticker", "session", "open", "close", "volume"]).to_pylist()
    bad = rejects.select(["key", "reason"]).to_pylist()
    return (
        [tuple(row.values()) for row in kept],
        [tuple(row.values()) for row in bad],
        words["format"].split(" ")[0],
    )


def headlines(path: Path, **declared: Any) -> tuple[list[tuple[Any, ...]], list[str], str]:
    """The headlines of a file as (title, tickers), the reasons of rejects, and its format."""
    with open_headlines(
        path, HeadlineMapping(**({"source": "files"} | declared)), clock=lambda: NOW
    ) as opened:
        batches = list(opened.batches(lambda payload: payload.payload_id))
        rows, words = opened.archive.rows, opened.words()
    found = pa.concat_tables([batch.headlines for batch in batches])
    pairs = pa.concat_tables([batch.headline_tickers for batch in batches])
    rejects = pa.concat_tables([batch.rejects for batch in batches])
    repeated = sum(batch.repeated for batch in batches)
    assert rows == sum(batch.rows for batch in batches)
    assert rows == found.num_rows + repeated + rejects.num_rows
    kept = [
        (row["title"], pairs.filter(pc.equal(pairs["headline_id"], row["headline_id"]))["ticker"])
        for row in found.sort_by("title").to_pylist()
    ]
    return (
        [(title, tuple(sorted(tickers.to_pylist()))) for title, tickers in kept],
        rejects["reason"].to_pylist(),
        words["format"].split(" ")[0],
    )


PRICE_FILES: dict[str, tuple[str, str, dict[str, Any], list[tuple[Any, ...]], list[Any]]] = {
    "stooq": (
        "bulk.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "PQR.US,D,20240102,000000,10.2,10.9,9.8,10.4,2000.5,0\n"
        "PQR.US,5,20240103,093000,10.2,10.9,9.8,10.4,2000,0\n"
        "PQR.US,D,20240103,000000,10.4,11,10,10.8,3000.49,0\n",
        {},
        [("PQR.US", JAN_2, 10.2, 10.4, 2001), ("PQR.US", JAN_3, 10.4, 10.8, 3000)],
        [("PQR.US@20240103", "not a daily bar")],
    ),
    "yfinance": (
        "download.csv",
        "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
        "Ticker,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB\n"
        "Date,,,,,,,,,,\n"
        "2024-01-02,10.5,20.5,11,21,9,19,10,20,1000,2000\n"
        "2024-01-03,10.6,,11,,9,,10,,1001,\n",
        {},
        [("AAA", JAN_2, 10, 10.5, 1000), ("AAA", JAN_3, 10, 10.6, 1001),
         ("BBB", JAN_2, 20, 20.5, 2000)],
        [("BBB@2024-01-03", "price is null or NaN")],
    ),
    "yahoo": (
        "PQR.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume\n"
        "2024-01-02,10.2,10.9,9.8,10.4,10.1,2000\n2024-01-03,null,null,null,null,null,null\n",
        {"constants": {"ticker": "PQR"}},
        [("PQR", JAN_2, 10.2, 10.4, 2000)],
        [("PQR@2024-01-03", "price is null or NaN")],
    ),
    "nasdaq": (
        "HistoricalData.csv",
        "Date,Close/Last,Volume,Open,High,Low\n"
        "01/03/2024,$10.80,3000,$10.4,$11.00,$10.0\n01/02/2024,$10.40,N/A,$10.2,$10.9,$9.8\n",
        {"constants": {"ticker": "PQR"}},
        [("PQR", JAN_3, 10.4, 10.8, 3000)],
        [("PQR@2024-01-02", "volume is null or infinite")],
    ),
    "investing": (
        "PQR Historical Data.csv",
        '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n'
        '"01/31/2024","1,010.80","1,010.4","1,011.0","1,010.0","58.41M","-0.75%"\n'
        '"01/03/2024","1,010.80","1,010.4","1,011.0","1,010.0","2.5K","-0.75%"\n'
        '"01/02/2024","1,010.40","1,010.2","1,010.9","1,009.8","-","0.10%"\n',
        {"constants": {"ticker": "PQR"}},
        [("PQR", JAN_3, 1010.4, 1010.8, 2500),
         ("PQR", date(2024, 1, 31), 1010.4, 1010.8, 58410000)],
        [("PQR@01/02/2024", "volume is not a number")],
    ),
    "fnspid": (
        "PQR.csv",
        "date,volume,open,high,low,close,adj close\n2024-01-02,2000.0,10.2,10.9,9.8,10.4,10.1\n",
        {"constants": {"ticker": "PQR"}},
        [("PQR", JAN_2, 10.2, 10.4, 2000)],
        [],
    ),
    "polygon": (
        "2024-01-02.csv",
        "ticker,volume,open,close,high,low,window_start,transactions\n"
        "PQR,2000,10.2,10.4,10.9,9.8,1704171600000000000,12\n",
        {"zone": "America/New_York"},
        [("PQR", JAN_2, 10.2, 10.4, 2000)],
        [],
    ),
    "polygon-aggregates": (
        "aggs.json",
        '{"ticker":"PQR","queryCount":2,"adjusted":true,"results":['
        '{"v":2000,"vw":10.3,"o":10.2,"c":10.4,"h":10.9,"l":9.8,"t":1704171600000,"n":12},\n'
        '{"v":3000,"vw":10.6,"o":10.4,"c":10.8,"h":11,"l":10,"t":1704258000000,"n":12}]}',
        {"zone": "America/New_York"},
        [("PQR", JAN_2, 10.2, 10.4, 2000), ("PQR", JAN_3, 10.4, 10.8, 3000)],
        [],
    ),
    "iex": (
        "chart.json",
        '[{"close":10.4,"high":10.9,"low":9.8,"open":10.2,"symbol":"PQR","volume":2000,'
        '"id":"HISTORICAL_PRICES","key":"PQR","subkey":"","date":"2024-01-02",'
        '"updated":1704250000000,"uOpen":10.2,"uClose":10.4,"uHigh":10.9,"uLow":9.8,"uVolume":9}]',
        {},
        [("PQR", JAN_2, 10.2, 10.4, 2000)],
        [],
    ),
    "none": (
        "plain.csv",
        f"{HEADER}\nNA,2024-01-02,10.2,10.9,9.8,10.4,2000\nTRUE,2024-01-02,10.2,10.9,9.8,10.4,-\n"
        "NULL,2024-01-03,10.4,11,10,10.8,3000\nN/A,2024-01-02,10.2,10.9,9.8,10.4,2000\n"
        "nan,2024-01-02,10.2,10.9,9.8,10.4,2000\nM&M.NS,02 January 2024,10.2,10.9,9.8,10.4,2000\n"
        "X,2024-01-02,10.2\n\nX,yesterday,10.2,10.9,9.8,10.4,2000\n",
        {},
        [("M&M.NS", JAN_2, 10.2, 10.4, 2000), ("NA", JAN_2, 10.2, 10.4, 2000),
         ("NULL", JAN_3, 10.4, 10.8, 3000)],
        [("TRUE@2024-01-02", "volume is not a number"), ("X@yesterday", "date is not understood"),
         ("N/A@2024-01-02", "ticker is not a symbol"),
         ("nan@2024-01-02", "ticker is not a symbol, which is in capitals"),
         ("?", "line has fewer cells than the header")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRICE_FILES)
def test_every_row_of_a_price_archive_is_kept_or_refused_with_its_reason(
    name: str, tmp_path: Path
) -> None:
    file, text, declared, kept, refused = PRICE_FILES[name]
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    assert prices(path, **declared) == (kept, refused, name)


def test_every_known_format_of_prices_is_tested() -> None:
    assert {each.name for each in formats("prices")} == set(PRICE_FILES) - {"none"}
    assert {each.name for each in formats("headlines")} == set(HEADLINE_FILES) - {"none"}


HEADLINE_FILES: dict[str, tuple[str, str, dict[str, Any], list[tuple[Any, ...]], list[str]]] = {
    "analyst-ratings": (
        "raw.csv",
        ",headline,url,publisher,date,stock\n"
        '0,"Harlow, Inc. rises",https://n.example/1,N,2020-06-05 10:30:54-04:00,A\n'
        "1,Harlow falls,https://n.example/2,N,2020-06-03 10:45:20-04:00,NA\n"
        "2,Harlow falls,https://n.example/2,N,2020-06-03 10:45:20-04:00,AAP\n"
        "3,Harlow waits,https://n.example/3,N,,A\n",
        {},
        [("Harlow falls", ("AAP", "NA")), ("Harlow, Inc. rises", ("A",))],
        ["undated"],
    ),
    "analyst-ratings-processed": (
        "processed.csv",
        ",title,date,stock\n0.0,Harlow rises,2020-06-05 10:30:00-04:00,A\n"
        "1.0,Harlow breaks\n off here,2020-06-05 10:31:00-04:00,A\n",
        {},
        [("Harlow rises", ("A",))],
        ["line has fewer cells than the header", "line has fewer cells than the header"],
    ),
    "fnspid": (
        "news.csv",
        "Unnamed: 0,Date,Article_title,Stock_symbol,Url,Publisher,Author,Article,Lsa_summary\n"
        '0.0,2023-12-16T23:00:00Z,Harlow rises,A,https://n.example/1,,,"Two\nlines, one cell",\n',
        {},
        [("Harlow rises", ("A",))],
        [],
    ),
    "finnhub": (
        "company-news.json",
        '[{"category":"company","datetime":"2024-01-05T10:30:00Z","headline":"Harlow rises","id":2,'
        '"image":"","related":"AAPL,MSFT","source":"W","summary":"","url":"https://n.example/1"}]',
        {},
        [("Harlow rises", ("AAPL", "MSFT"))],
        [],
    ),
    "iex": (
        "news.json",
        '[{"datetime":"2024-01-05T10:30:00Z","headline":"Harlow rises","source":"W","url":"'
        'https://n.example/1","summary":"S","related":"AAPL,MSFT","lang":"en","hasPaywall":true}]',
        {},
        [("Harlow rises", ("AAPL", "MSFT"))],
        [],
    ),
    "polygon": (
        "news.json",
        '{"results":[{"id":"a","publisher":{"name":"W"},"title":"Harlow rises","author":"B",'
        '"published_utc":"2024-01-05T10:30:00Z","article_url":"https://n.example/1",'
        '"tickers":["AAPL","X:BTCUSD"],"description":"D"},{"id":"b","publisher":{"name":"W"},'
        '"title":"Coin rises","published_utc":"2024-01-05T10:31:00Z","article_url":"",'
        '"tickers":["X:BTCUSD"]},{"id":"c","title":"Markets wait","published_utc":'
        '"2024-01-05T10:32:00Z","article_url":"","tickers":[]}],"status":"OK","count":3}',
        {},
        [("Harlow rises", ("AAPL",)), ("Markets wait", ())],
        ["ticker is not a symbol"],
    ),
    "benzinga": (
        "newsfeed.jsonl",
        '{"id":1,"author":"B","created":"Fri, 05 Jan 2024 10:30:00 -0500","updated":"'
        'Fri, 05 Jan 2024 10:31:00 -0500","title":"Harlow rises","teaser":"","body":"","url":"https://n.example/1",'
        '"image":[],"channels":[{"name":"News"}],"stocks":[{"name":"AAPL"},{"name":"IBM"}],"tags":'
        '[]}'
        '\n{"id":2,"created": broken\n\n[1,2]\n',
        {},
        [("Harlow rises", ("AAPL", "IBM"))],
        ["line is not a JSON object", "line is not a JSON object"],
    ),
    "json-feed": (
        "feed.json",
        '{"version":"https://jsonfeed.org/version/1.1","title":"W","items":[{"id":"1","title":'
        '"Harlow rises","date_published":"2024-07-09T13:05:00Z"}]}',
        {"constants": {"ticker": "AAPL"}},
        [("Harlow rises", ("AAPL",))],
        [],
    ),
    "none": (
        "ragged.tsv",
        "title\tdate\tticker\nHarlow A opens\t2024-01-05T10:30:00Z\tA\nHarlow B breaks off here\n"
        '\t2024-01-05T10:31:00Z\tB\n"Harlow "C opens\t2024-01-05T10:32:00Z\tC\n'
        '"Harlow D never closes\t2024-01-05T10:33:00Z\tD\n'
        "Harlow E opens\t2024-01-05T10:34:00Z\taapl\n"
        "Harlow F opens\t2024-01-05T10:35:00Z\t['F', 'G']\n",
        {"title": "title", "published_at": "date", "ticker": "ticker"},
        [("Harlow A opens", ("A",)), ("Harlow F opens", ("F", "G"))],
        ["no title", "ticker is not a symbol, which is in capitals",
         "line has fewer cells than the header",
         "line has a quote that does not close its cell",
         "line has a quote that does not close its cell"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADLINE_FILES)
def test_every_row_of_a_headline_archive_is_kept_repeated_or_refused(
    name: str, tmp_path: Path
) -> None:
    file, text, declared, kept, refused = HEADLINE_FILES[name]
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    found = headlines(path, **declared)
    assert found == (kept, refused, name)
    packed = tmp_path / f"{file}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert headlines(packed, **declared) == found


@pytest.mark.parametrize(
    ("days", "declared", "sessions"),
    [
        (["2020-01-06 00:00:00+09:00"], {"date_format": "%Y-%m-%d %H:%M:%S%z"}, [date(2020, 1, 6)]),
        (["2020-01-06 00:00 -0300"], {"date_format": "%Y-%m-%d %H:%M %z"}, [date(2020, 1, 6)]),
        (["2020-01-06T00:00:00+09:00"], {}, [date(2020, 1, 6)]),
        (["2020-01-05T15:00:00Z"], {"zone": "Asia/Tokyo"}, [date(2020, 1, 6)]),
        (["1578236400"], {"zone": "Asia/Tokyo"}, [date(2020, 1, 6)]),
        (["1578268800000", "1578355200000"], {}, [date(2020, 1, 6), date(2020, 1, 7)]),
        (["2020-01-06T00:00:00.000", "2020-01-07"], {}, [date(2020, 1, 6), date(2020, 1, 7)]),
        (["2020-01-06", "2020-01-07 09:30:00+08:00"], {}, [date(2020, 1, 6), date(2020, 1, 7)]),
        (["01/06/2020", "01/13/2020"], {}, [date(2020, 1, 6), date(2020, 1, 13)]),
        (["06/01/2020", "13/01/2020"], {}, [date(2020, 1, 6), date(2020, 1, 13)]),
        (["06.01.2020", "7.1.20"], {}, [date(2020, 1, 6), date(2020, 1, 7)]),
        (["Jan 06, 2020", "7-Jan-20"], {}, [date(2020, 1, 6), date(2020, 1, 7)]),
        (["01/06/2020"], {"date_format": "%m/%d/%Y"}, [date(2020, 1, 6)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_lookahead_a_bar_belongs_to_the_day_of_its_own_stamp(
    kind: str, days: list[str], declared: dict[str, Any], sessions: list[date], tmp_path: Path
) -> None:
    path = tmp_path / f"days.{kind}"
    rows = [
        {"ticker": "A", "date": day, "open": 10, "high": 11, "low": 9, "close": 10 + at / 10,
         "volume": 100 + at}
        for at, day in enumerate(days)
    ]  # fmt: skip
    if kind == "parquet":
        table = pa.Table.from_pylist(rows)
        pq.write_table(table.set_column(1, "date", table["date"].cast(pa.large_string())), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        write_csv(path, rows)
    kept, refused, _ = prices(path, **declared)
    assert ([row[1] for row in kept], refused) == (sessions, [])


def test_lookahead_typed_stamps_have_the_day_of_their_own_zone(tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    stamps = pa.array([datetime(2020, 1, 5, 15, tzinfo=UTC)], pa.timestamp("ns", "Asia/Tokyo"))
    numbers = {name: [10.0] for name in ("open", "high", "low", "close")}
    pq.write_table(pa.table({"ticker": ["A"], "date": stamps, **numbers, "volume": [5]}), path)
    assert [row[1] for row in prices(path)[0]] == [date(2020, 1, 6)]


@pytest.mark.parametrize(
    ("lines", "declared", "words"),
    [
        ("A,01/02/2020,1,1,1,1,5\n", {}, "whether the day or the month"),
        ("A,13/02/2020,1,1,1,1,5\nA,02/14/2020,1,1,1,1,5\n", {}, "declare which is right"),
        ("A,2020-01-05T15:00:00Z,1,1,1,1,5\n", {}, "declare its clock"),
        ("A,2020-01-06 09:30,1,1,1,1,5\nA,2020-01-06 15:30,1,1,1,1,6\n", {}, "daily bars"),
        ('A,2020-01-06,"1,875","1,875","1,875","1,875",5\n', {}, "decimal mark"),
        ("A,2020-01-06,1,1,1,1,5\n", {"date_format": "%Q"}, "strptime"),
        ("A,2020-01-06,1,1,1,1,5\n", {"format": "bloomberg"}, "expected one of"),
        ("A,2020-01-06,1,1,1,1,5\n", {"close": "last"}, "has no column 'last'"),
        ("Ä,2020-01-06,1,1,1,1,5\n", {}, "encoding=latin-1"),
        ("", {}, "holds no rows"),
    ],
)
def test_what_a_file_leaves_open_is_asked_for_in_one_sentence(
    lines: str, declared: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "open.csv"
    path.write_text(f"{HEADER}\n{lines}", encoding="latin-1")
    with pytest.raises(ArchiveError, match=words) as refused:
        prices(path, **declared)
    assert not {"arrow", "duckdb", "csv parser"} & set(str(refused.value).lower().split())


@pytest.mark.parametrize("name", ["cut.csv.gz", "cut.json", "cut.jsonl.gz", "cut.parquet"])
def test_file_that_is_cut_off_is_refused_before_anything_is_published(
    name: str, tmp_path: Path
) -> None:
    numbers = dict.fromkeys(["open", "high", "low", "close", "volume"], 5)
    rows = [{"ticker": f"T{at}", "date": "2020-01-06", **numbers} for at in range(2000)]
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        path.write_bytes(path.read_bytes()[:-40])
    elif name == "cut.json":
        path.write_text(json.dumps(rows)[:-20])
    else:
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode())[:-300])
    with pytest.raises(ArchiveError, match="cut off"):
        prices(path)


@settings(max_examples=40, database=None, deadline=None)
@given(
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    grouped=st.booleans(),
    currency=st.sampled_from(["", "$", "€"]),
    suffix=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    packed=st.booleans(),
    blank=st.integers(0, 2),
    day=st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%b %d, %Y"]),
    capitals=st.booleans(),
)
def test_generated_dialects_give_equal_rows(
    tmp_path_factory: pytest.TempPathFactory,
    separator: str,
    decimal: str,
    grouped: bool,
    currency: str,
    suffix: bool,
    quoting: int,
    ends: str,
    encoding: str,
    packed: bool,
    blank: int,
    day: str,
    capitals: bool,
) -> None:
    def number(value: float) -> str:
        text = f"{value:,.2f}" if grouped else f"{value:.2f}"
        text = text if decimal == "." else text.translate(str.maketrans(",.", ".,"))
        return currency + text

    bars = [
        ("A", date(2024, 1, 12), 1234.5, 1236.25, 1233.1, 1235.75, 2_500_000),
        ("A", date(2024, 1, 16), 1235.5, 1237.25, 1234.1, 1236.75, 2_600_000),
        ("B", date(2024, 1, 12), 34.5, 36.25, 33.1, 35.75, 700_000),
    ]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writerow([name.upper() if capitals else name for name in HEADER.split(",")])
    for ticker, session, *values, volume in bars:
        shown = f"{volume // 100_000}".rjust(2, "0")
        millions = f"{shown[:-1]}{decimal}{shown[-1]}M"
        cells = [ticker, session.strftime(day), *map(number, values)]
        writer.writerow([*cells, millions if suffix else volume])
    body = ("\n" * blank + text.getvalue()).replace("\n", ends).encode(encoding)
    path = tmp_path_factory.mktemp("dialect") / ("bars.csv.gz" if packed else "bars.csv")
    path.write_bytes(gzip.compress(body) if packed else body)
    kept, refused, _ = prices(path)
    expected = sorted((row[0], row[1], row[2], row[5], row[6]) for row in bars)
    assert (kept, refused) == (expected, [])


@pytest.mark.parametrize("ticker", ["ÄÖÜ", "../../etc/passwd", "ibm", "", "A B", "NAN\n"])
def test_ticker_that_is_no_symbol_is_refused_with_a_hint(ticker: str) -> None:
    with pytest.raises(SymbolError, match="IBM" if ticker == "ibm" else "is not a symbol"):
        require_symbols(["AAPL", ticker])


def test_statements_suites_and_commands_agree_on_what_a_symbol_is(lake: Lake) -> None:
    texts = ["M&M.NS", "^GSPC", "BRK-B", "7203.T", "EURUSD=X", "NA", "nan", "A/B", "", "\u00c4"]
    for text in texts:
        [row] = lake.sql(f"select is_symbol('{text}') as symbol").to_pylist()
        agreed = {row["symbol"], bool(SYMBOL.fullmatch(text)), bool(re.match(TICKER, text))}
        assert len(agreed) == 1, text


def test_fields_that_no_column_holds_are_constants(tmp_path: Path) -> None:
    assert issubclass(PriceMapping, ArchiveMapping)
    path = tmp_path / "one.csv"
    path.write_text("Date;Open;High;Low;Close;Volume\n2024-01-02;10,2;10,9;9,8;10,4;2000\n")
    with pytest.raises(ArchiveError, match="--constant ticker=VALUE"):
        prices(path)
    kept, _, _ = prices(path, constants={"ticker": "PQR"})
    assert kept == [("PQR", JAN_2, 10.2, 10.4, 2000)]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
