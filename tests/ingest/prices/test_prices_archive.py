"""Price archives: Parquet, CSV and JSON lines, sliced, mapped, validated and published twice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.archive_file import ArchiveError
from tasks.ingest.prices.archive import PriceMapping, read_prices
from tasks.ingest.prices.surroundings import Surroundings, exchanges_of
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import PriceBatch
from warehouse.tables.prices import PricePublication, publish_prices

NOW = datetime(2026, 3, 1, 22, tzinfo=UTC)
STOCKNET = PriceMapping(source="stocknet", basis=date(2017, 9, 1), vendor_adj_close="adj_close")
FILES = PriceMapping(source="files", basis="session")
SMALL = pa.table(
    {
        "ticker": ["A", "A", "B", "B"],
        "date": ["2020-01-02", "2020-01-03", "2020-01-02", "2020-01-03"],
        "open": [10.1, 10.2, 20.1, 20.2],
        "high": [10.9, 10.9, 20.9, 20.9],
        "low": [10.0, 10.0, 20.0, 20.0],
        "close": [10.5, 10.6, 20.5, None],
        "volume": [100, 200, 300, 400],
    }
)


def batches(path: Path, mapping: PriceMapping, folder: Path, **changes: Any) -> list[PriceBatch]:
    landing = Landing(folder / "landing")
    return list(read_prices(path, mapping, clock=lambda: NOW, land=landing.store, **changes))


def publish(lake: Lake, batch: PriceBatch) -> PricePublication:
    return publish_prices(lake, batch, now=NOW)


def written(table: pa.Table, path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pa_csv.write_csv(table, path)
    else:
        table.to_pandas().to_json(path, orient="records", lines=True)
    return path


@pytest.mark.shared_data
def test_stocknet_prices_are_kept_but_for_the_three_empty_bars(
    shared_data: Path, tmp_path: Path, lake: Lake
) -> None:
    calendar = exchange_sessions("XNYS", date(2012, 1, 3), date(2017, 12, 29))
    path = shared_data / "stocknet" / "prices.parquet"
    found = batches(path, STOCKNET, tmp_path, calendar=calendar, batch_rows=50_000)
    outcomes = [publish(lake, batch) for batch in found]
    assert sum(outcome.bars_added for outcome in outcomes) == 108_592 - 3
    quarantined = lake.sql("select key, reason from quarantine order by key").to_pylist()
    assert quarantined == [
        {"key": f"{ticker}@2016-06-29", "reason": "price is null or NaN"}
        for ticker in ("PTR", "REX", "SNP")
    ]
    original = pq.read_table(path).rename_columns(
        {"date": "session", "adj_close": "vendor_adj_close"}
    )
    original = original.filter(pc.is_valid(original["close"]))
    stored = lake.sql(
        f"select {', '.join(original.column_names)} from bars order by ticker, session"
    )
    order = [("ticker", "ascending"), ("session", "ascending")]
    assert stored.cast(original.schema).equals(original.sort_by(order))
    assert lake.sql("select distinct basis_date from bars").to_pylist() == [
        {"basis_date": date(2017, 9, 1)}
    ]


@pytest.mark.parametrize("name", ["p.parquet", "p.csv", "p.jsonl"])
def test_every_format_gives_the_same_bars_and_a_rerun_changes_nothing(
    name: str, tmp_path: Path, lake: Lake
) -> None:
    path = written(SMALL, tmp_path / name)
    [batch] = batches(path, FILES, tmp_path)
    kept = batch.bars.select(["ticker", "session", "basis_date", "close", "volume"]).to_pylist()
    assert [tuple(row.values()) for row in kept] == [
        ("A", date(2020, 1, 2), date(2020, 1, 2), 10.5, 100),
        ("A", date(2020, 1, 3), date(2020, 1, 3), 10.6, 200),
        ("B", date(2020, 1, 2), date(2020, 1, 2), 20.5, 300),
    ]
    assert batch.rejects.select(["key", "reason"]).to_pylist() == [
        {"key": "B@2020-01-03", "reason": "price is null or NaN"}
    ]
    assert publish(lake, batch) == PricePublication(3, 0, 0, 0, 1)
    before = lake.snapshot_id()
    [again] = batches(path, FILES, tmp_path)
    assert publish(lake, again) == PricePublication(0, 0, 0, 0, 0)
    assert lake.snapshot_id() == before


def test_own_column_names_and_date_format_are_mapped(tmp_path: Path) -> None:
    table = SMALL.rename_columns({"ticker": "Sym", "date": "Day", "close": "Last"})
    days = pa.array(["02.01.2020", "03.01.2020", "02.01.2020", "03.01.2020"])
    path = written(table.set_column(1, "Day", days), tmp_path / "p.csv")
    names = {"ticker": "Sym", "session": "Day", "close": "Last", "date_format": "%d.%m.%Y"}
    mapping = FILES.model_copy(update=names)
    [batch] = batches(path, mapping, tmp_path)
    assert batch.bars["session"].to_pylist() == [
        date(2020, 1, 2), date(2020, 1, 3), date(2020, 1, 2)
    ]  # fmt: skip


def test_slices_do_not_change_what_is_valid(tmp_path: Path) -> None:
    prices = {"open": [10.0] * 60, "high": [11.0] * 60, "low": [9.0] * 60, "close": [10.0] * 60}
    for column in prices.values():
        column[30] *= 100
    days = [date(2020, 1 + day // 28, 1 + day % 28) for day in range(60)]
    table = pa.table({"ticker": ["A"] * 60, "date": days, **prices, "volume": list(range(1, 61))})
    path = written(table, tmp_path / "p.parquet")

    def validated(batch_rows: int) -> tuple[pa.Table, pa.Table]:
        found = batches(path, FILES, tmp_path, batch_rows=batch_rows)
        return (
            pa.concat_tables([batch.bars for batch in found]),
            pa.concat_tables([batch.rejects for batch in found]),
        )

    whole, sliced = validated(1000), validated(10)
    assert whole[0].equals(sliced[0])
    assert whole[1].equals(sliced[1])
    assert whole[1]["reason"].to_pylist() == ["price jumps beyond the limit"]


def test_the_manifest_lands_and_names_the_files_bytes(tmp_path: Path) -> None:
    path = written(SMALL, tmp_path / "p.csv")
    [batch] = batches(path, FILES, tmp_path)
    [payload] = batch.payloads
    assert Landing(tmp_path / "landing").load(payload.payload_id) == payload.body
    assert b'"sha256"' in payload.body
    assert set(batch.bars["payload_id"].to_pylist()) == {payload.payload_id}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.xlsx", "x", "can be imported"),
        ("p.csv", "ticker,date\nA,2020-01-02\n", "has no column 'close'"),
        ("p.parquet", "not parquet", "could not be read"),
    ],
)
def test_file_that_does_not_fit_is_refused_with_the_reason(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ArchiveError, match=message):
        batches(path, FILES, tmp_path)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="existing"):
        batches(tmp_path / "no.csv", FILES, tmp_path)


@pytest.mark.parametrize("odd", ["A\0B", "foo bar.L", "x.T", "Ä'Ö", "TOOLONGFORASYMBOL"])
def test_ticker_that_is_no_symbol_refuses_its_own_rows_alone(
    tmp_path: Path, lake: Lake, odd: str
) -> None:
    names = ["A", "A", odd, odd]
    path = written(SMALL.set_column(0, "ticker", pa.array(names)), tmp_path / "odd.parquet")
    (first,) = batches(written(SMALL, tmp_path / "first.parquet"), FILES, tmp_path)
    publish(lake, first)
    listed = exchanges_of(names, "XNYS", declared=None, recorded={}, file="odd.parquet")
    assert set(listed.values()) == {"XNYS"}
    sessions = exchange_sessions("XNYS", date(2020, 1, 1), date(2020, 1, 31))
    beside = Surroundings("XNYS", {}, {"XNYS": sessions}, lake.read)
    (batch,) = batches(path, FILES, tmp_path, surroundings=beside)
    assert batch.bars["ticker"].to_pylist() == ["A", "A"]
    assert batch.rejects.num_rows == 2
    assert publish(lake, batch).quarantined == 2
