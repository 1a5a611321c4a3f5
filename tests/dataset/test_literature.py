"""Hazards of a benchmark's rows: another rule than the literature's, features of the label's own
day, messages from the wrong days, files that are something else."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.dataset.literature.features import FEATURES, price_features, windows
from tasks.dataset.literature.files import Archive, read_archive
from tasks.dataset.literature.protocol import BENCHMARKS, LiteratureError, benchmark
from tasks.dataset.literature.rows import Rows, build_rows
from tasks.dataset.spec.render import RenderSpec
from tests.builders.benchmarks import TICKERS, write_made_features, write_stocknet

STOCKNET = BENCHMARKS["stocknet"]
FIRST, LAST = date(2013, 9, 2), date(2015, 12, 31)
Row = tuple[str, date, bool]


def official_rows(prices: Iterable[tuple[str, date, float | None]]) -> dict[str, list[Row]]:
    """StockNet's official rule, row by row, from (ticker, day, adjusted close) in time order."""
    splits = (date(2014, 1, 1), date(2015, 8, 1), date(2015, 10, 1), date(2016, 1, 1))
    found: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    last: dict[str, float] = {}
    for ticker, day, price in prices:
        if price is None:
            continue
        before, last[ticker] = last.get(ticker), price
        if before is None:
            continue
        move = float(f"{price / before - 1:.6f}")  # the released files print six decimals
        if -0.005 <= move < 0.0055:
            continue
        for name, start, stop in zip(found, splits, splits[1:], strict=False):
            if start <= day < stop:
                found[name].append((ticker, day, move > 1e-7))
    return found


def built(rows: dict[str, Rows]) -> dict[str, list[Row]]:
    columns = ("ticker", "session", "label_up")
    return {
        split: list(zip(*(part.table[name].to_pylist() for name in columns), strict=True))
        for split, part in rows.items()
    }


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stocknet(tmp_path_factory.mktemp("clone"), FIRST, LAST)


@pytest.fixture(scope="module")
def archive(clone: Path) -> Archive:
    return read_archive(clone, STOCKNET)


def prices_of(folder: Path) -> list[tuple[str, date, float]]:
    found = []
    for ticker in TICKERS:
        with (folder / "price" / "raw" / f"{ticker}.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        found += [(ticker, date.fromisoformat(r["Date"]), float(r["Adj Close"])) for r in rows]
    return found


def test_rows_are_those_of_the_official_rule(clone: Path, archive: Archive) -> None:
    rows = built(build_rows(archive, STOCKNET, RenderSpec()))
    expected = official_rows(prices_of(clone))
    assert {split: sorted(part) for split, part in expected.items()} == {
        split: sorted(part) for split, part in rows.items()
    }
    assert min(len(part) for part in expected.values()) > 50


@pytest.mark.shared_data
def test_rows_of_the_real_files_are_those_of_the_official_rule(shared_data: Path) -> None:
    folder = shared_data / "stocknet"
    table = pq.read_table(folder / "prices.parquet", columns=["ticker", "date", "adj_close"])
    read = sorted((row["ticker"], row["date"], row["adj_close"]) for row in table.to_pylist())
    expected = official_rows(read)
    rows = build_rows(read_archive(folder, STOCKNET), STOCKNET, RenderSpec())
    assert {split: sorted(part) for split, part in built(rows).items()} == {
        split: sorted(part) for split, part in expected.items()
    }
    # The paper says 20,339, 2,555 and 3,720: its training split has six fewer, which the released
    # files and the released code do not explain.
    assert [len(part) for part in expected.values()] == [20_345, 2_555, 3_720]
    ups = Counter(up for part in expected.values() for *_, up in part)
    assert (ups[True], ups[False]) == (13_368, 13_252)


@pytest.mark.parametrize(("move", "kept"), [
    (-0.0051, False), (-0.005, None), (-0.0050004, None), (-0.0050006, False),
    (0.0, None), (0.005499, None), (0.0055, True), (0.006, True),
])  # fmt: skip
def test_edges_of_the_dead_band_are_the_official_ones(
    tmp_path: Path, move: float, kept: bool | None
) -> None:
    days = [date(2014, 1, 2) + timedelta(days=k) for k in range(2)]
    known = [date(2014, 1, 6), date(2015, 8, 4), date(2015, 10, 6)]
    write_table(tmp_path, {
        "AAA": [(days[0], 100.0), (days[1], 100.0 * (1 + move))],
        "ZZZ": [(date(2013, 12, 31), 1.0), *((day, 2.0**k) for k, day in enumerate(known, 1))],
    })  # fmt: skip
    rows = built(build_rows(read_archive(tmp_path, STOCKNET), STOCKNET, RenderSpec()))
    assert [up for ticker, _, up in rows["train"] if ticker == "AAA"] == (
        [] if kept is None else [kept]
    )


def write_table(folder: Path, closes: dict[str, list[tuple[date, float]]]) -> None:
    """The layout of two tables, every price of a bar the same."""
    flat = [(t, day, price) for t, own in closes.items() for day, price in own]
    ticker, day, price = zip(*flat, strict=True)
    names = ("open", "high", "low", "close", "adj_close")
    columns = {"ticker": ticker, "date": pa.array(day), **dict.fromkeys(names, price)}
    pq.write_table(pa.table(columns), folder / "prices.parquet")
    stamp = pa.array([], pa.timestamp("us", tz="UTC"))
    empty = pa.array([], pa.string())
    messages = pa.table({"ticker": empty, "created_at": stamp, "text": empty})
    pq.write_table(messages, folder / "tweets_preprocessed.parquet")


def test_features_are_those_of_the_formulas() -> None:
    close = np.array([10.0 + k % 7 for k in range(40)])
    ticker = np.repeat([0, 1], 20)
    made = price_features(ticker, close - 1, close + 2, close - 2, close, close / 2)
    assert made.shape == (40, len(FEATURES))
    row = made[37]
    assert row[:3] == pytest.approx([100 * x / close[37] for x in (-1, 2, -2)])
    assert row[3] == row[4] == pytest.approx(100 * (close[37] / close[36] - 1))
    assert row[5] == pytest.approx(100 * (close[33:38].mean() / close[37] - 1))
    assert np.isnan(made[20, 3])  # another ticker's close is no close before
    assert np.isnan(made[23, 5])
    assert np.isnan(row[8:]).all()  # its own ticker has no 20 sessions yet


def test_windows_end_before_the_labels_own_session(archive: Archive) -> None:
    rows = build_rows(archive, STOCKNET, RenderSpec())["test"]
    before, whole = windows(archive.ticker, archive.features, rows.at, 5)
    assert whole.all()
    spoiled = archive.features.copy()
    spoiled[rows.at[-1]] = 1e9
    after, _ = windows(archive.ticker, spoiled, rows.at[-1:], 5)
    assert np.array_equal(before[-1:], after)
    assert before[-1, -1] == pytest.approx(archive.features[rows.at[-1] - 1], rel=1e-5)


def test_short_windows_are_padded_and_said() -> None:
    features = np.arange(12.0).reshape(6, 2) + 1
    made, whole = windows(np.array([0, 0, 0, 1, 1, 1]), features, np.array([1, 4, 5]), 2)
    assert whole.tolist() == [False, False, True]
    assert made[1].tolist() == [[0.0, 0.0], [7.0, 8.0]]


def test_row_reads_messages_of_the_five_days_before_and_no_other(
    clone: Path, archive: Archive
) -> None:
    rows = build_rows(archive, STOCKNET, RenderSpec(max_headlines=1))
    texts = 0
    for row in rows["validation"].table.to_pylist():
        expected = []
        for back in range(5, 0, -1):
            day = row["session"] - timedelta(days=back)
            file = clone / "tweet" / "preprocessed" / row["ticker"] / day.isoformat()
            lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
            expected += [" ".join(json.loads(line)["text"]) for line in lines]
        assert row["text"] == "\n".join(expected)
        assert row["messages"] == len(expected)
        shown = f"- {expected[-1]}" if expected else "- none"
        assert row["input"] == f"{row['ticker']} news:\n{shown}\nDirection:"
        texts += len(expected)
    assert texts > 50


def test_instants_count_on_their_day_in_central_europe(tmp_path: Path) -> None:
    write_table(tmp_path, {
        "AAA": [(date(2013, 12, 31), 1.0), (date(2014, 1, 6), 2.0), (date(2014, 1, 7), 4.0),
                (date(2015, 8, 4), 8.0), (date(2015, 10, 6), 16.0)],
    })  # fmt: skip
    stamps = ["2014-01-05 22:59:59", "2014-01-05 23:00:00"]
    created = pa.array(np.array(stamps, dtype="datetime64[us]"), pa.timestamp("us"))
    messages = {"ticker": ["AAA"] * 2, "text": ["before", "after"]}
    table = pa.table({**messages, "created_at": created.cast(pa.timestamp("us", tz="UTC"))})
    pq.write_table(table, tmp_path / "tweets_preprocessed.parquet")
    rows = build_rows(read_archive(tmp_path, STOCKNET), STOCKNET, RenderSpec())["train"].table
    assert rows["text"].to_pylist() == ["before", "before\nafter"]


def test_released_features_and_labels_are_read_as_they_are(tmp_path: Path) -> None:
    rule = benchmark("bigdata22")
    folder = write_made_features(tmp_path, date(2020, 1, 2), date(2020, 12, 31))
    archive = read_archive(folder, rule)
    rows = build_rows(archive, rule, RenderSpec())
    with (folder / "price" / "BBB.csv").open(encoding="utf-8") as stream:
        released = {row["date"]: row for row in csv.DictReader(stream)}
    table = rows["test"].table
    own = [row for row in table.to_pylist() if row["ticker"] == "BBB"]
    kept = [d for d, r in released.items() if float(r["label"]) and d >= "2020-11-02"]
    assert [row["session"].isoformat() for row in own] == kept
    assert all(row["label_up"] == (released[str(row["session"])]["label"] == "1.0") for row in own)
    assert any(row["messages"] for row in own)
    place = table["ticker"].to_pylist().index("BBB")
    day = table["session"][place].as_py()
    before = max(d for d in released if d < day.isoformat())
    values, _ = windows(archive.ticker, archive.features, rows["test"].at, 1)
    assert values[place, 0, 0] == pytest.approx(float(released[before]["c_open"]), rel=1e-5)


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda f: (f / "price" / "raw" / "AAA.csv").write_text("Date,Open\n2014-01-02,1\n"), "lack"),
    (lambda f: (f / "price" / "raw" / "AAA.csv").write_text(
        "Date,Open,High,Low,Close,Adj Close\n2014-01-02,x,1,1,1,1\n"), "no day or number"),
    (lambda f: (f / "price" / "raw" / "AAA.csv").write_text(
        "Date,Open,High,Low,Close,Adj Close\n" + "2014-01-02,1,1,1,1,1\n" * 2), "two rows"),
    (lambda f: (f / "tweet" / "preprocessed" / "AAA" / "notes").write_text("{}"), "no day"),
    (lambda f: (f / "tweet" / "preprocessed" / "AAA" / "2014-01-02").write_text("torn"), "Line 1"),
])  # fmt: skip
def test_files_that_are_something_else_are_refused_with_a_sentence(tmp_path, spoil, said) -> None:
    folder = write_stocknet(tmp_path, date(2014, 1, 1), date(2014, 1, 31))
    spoil(folder)
    with pytest.raises(LiteratureError, match=said):
        read_archive(folder, STOCKNET)


def test_folder_of_another_benchmark_is_refused(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(LiteratureError, match="holds no benchmark"):
        read_archive(tmp_path, STOCKNET)
    with pytest.raises(LiteratureError, match="3 tickers from 2013-09-02 to 2015-12-31"):
        build_rows(archive, benchmark("cikm18"), RenderSpec())
    with pytest.raises(LiteratureError, match="no benchmark 'kdd17'"):
        benchmark("kdd17")


def test_bars_without_prices_are_left_out_and_said(tmp_path: Path) -> None:
    folder = write_stocknet(tmp_path, FIRST, LAST)
    file = folder / "price" / "raw" / "AAA.csv"
    file.write_text(file.read_text() + "2016-01-04,null,null,null,null,null,null\n")
    assert read_archive(folder, STOCKNET).notes == ("1 bars without prices were left out.",)
