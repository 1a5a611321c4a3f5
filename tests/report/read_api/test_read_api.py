"""The read API: it shows no more than was known, writes nothing, and says what went wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import newsvane
from newsvane import ReadError
from warehouse.lake import Lake, LakeError, LakeSpec

EVENING = "2012-05-30T23:59:00Z"
LONG_AFTER = "2012-07-01T00:00:00Z"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "notebook.md"


def test_lookahead_later_knowledge_changes_no_earlier_answer(reader, diary, as_comparable) -> None:
    assert len(diary.answers) >= 10
    for (moment, what), then in diary.answers.items():
        assert as_comparable[what](reader, moment) == then, (what, moment)


def test_lookahead_a_restated_bar_shows_only_from_its_restatement(reader, diary) -> None:
    restated = max(moment for moment, _ in diary.answers) - timedelta(hours=1)
    day = {"tickers": "MSFT", "start": "2012-05-18", "end": "2012-05-18"}
    (before,) = reader.bars(asof=restated, **day).to_dicts()
    (after,) = reader.bars(asof=restated + timedelta(seconds=1), **day).to_dicts()
    assert (before["vintage"], after["vintage"]) == (1, 2)
    assert after["close"] == before["close"] + 5.0


def test_lookahead_no_bar_before_its_close_and_the_lag(reader) -> None:
    closed = datetime(2012, 5, 30, 20, 0, tzinfo=UTC)
    last = [
        reader.bars(asof=closed + lag, tickers="MSFT").table["session"][-1].as_py()
        for lag in (timedelta(minutes=15), timedelta(minutes=15, microseconds=1))
    ]
    assert last == [date(2012, 5, 29), date(2012, 5, 30)]


def test_lookahead_a_coming_split_is_in_no_earlier_price(reader) -> None:
    before = reader.bars(asof="2012-05-21T23:00:00Z", tickers="AAPL").table["close"].to_pylist()
    after = reader.bars(asof="2012-05-22T23:00:00Z", tickers="AAPL").table["close"].to_pylist()
    assert min(before) > 90
    assert max(after) < 30


def test_lookahead_headlines_end_strictly_before_the_moment(reader) -> None:
    first = datetime(2012, 5, 17, 11, 30, tzinfo=UTC)
    assert len(reader.headlines(asof=first)) == 0
    shown = reader.headlines(asof=first + timedelta(microseconds=1))
    assert shown.table["headline_id"].to_pylist() == ["AAPL-00", "MSFT-00"]
    assert "edit" not in str(reader.headlines(asof="2012-05-30T00:00:00Z").to_dicts())
    everything = reader.headlines(asof=LONG_AFTER, tickers="AAPL").to_dicts()
    assert "AAPL denies it" in {row["title"] for row in everything}
    assert {ticker for row in everything for ticker in row["tickers"]} == {"AAPL"}


def test_lookahead_a_story_is_never_named_by_a_telling_not_yet_seen(reader) -> None:
    stored = reader.sql("select story_id from headlines where headline_id = 'AAPL-06'").to_dicts()
    assert stored == [{"story_id": "AAPL-06-first"}], "the late retelling is older by its own word"
    for row in reader.headlines(asof="2012-05-30T00:00:00Z").to_dicts():
        assert row["story_id"] == row["headline_id"]


def test_lookahead_an_outcome_shows_only_after_its_window(reader) -> None:
    at_noon = reader.examples(asof="2012-05-30T16:00:00Z").to_dicts()
    last = [row for row in at_noon if row["session"] == date(2012, 5, 30)]
    assert [(row["label"], row["label_reason"], row["label_return"]) for row in last] == [
        (None, "pending", None)
    ] * 2
    assert {row["label"] for row in at_noon if row not in last} == {"up", "down"}
    assert max(row["decision_ts"] for row in at_noon) < datetime(2012, 5, 30, 16, tzinfo=UTC)


def test_lookahead_forward_predictions_hide_what_came_later(reader) -> None:
    assert len(reader.forward(asof="2012-05-31T12:00:00Z")) == 0
    (row,) = reader.forward(asof="2012-05-31T13:00:00Z").to_dicts()
    assert (row["predictor"], row["p_up"], row["timely"], row["label"]) == ("coin", 0.7, True, None)
    scores = {row["predictor"]: row for row in reader.scores(now="2012-05-31T13:00:00Z").to_dicts()}
    assert scores["coin"]["waiting"] == 1
    assert scores["coin"]["scored"] == 0


def test_splits_are_what_the_manifest_says(reader) -> None:
    newest = reader.dataset()
    assert newest == reader.dataset(newest.dataset_id[:8])
    for name, entry in newest.manifest.splits.items():
        rows = newest.split(name)
        assert len(rows) == entry.rows > 0
        assert set(rows.table["output"].to_pylist()) <= {"up", "down"}
    assert newest.dataset_id in newest.card()
    assert len(reader.datasets()) >= 1


def test_evaluation_says_the_verdict_that_was_stored(reader) -> None:
    first = reader.datasets()[-1].dataset_id
    found = reader.evaluation(first)
    assert [verdict.predictor for verdict in found.verdicts] == ["coin"]
    assert "no skill shown" in found.verdicts[0].words
    whole = [row for row in found.rows.to_dicts() if row["slice"] == "all"]
    assert {"accuracy", "cross_entropy"} <= {row["metric"] for row in whole}
    assert set(reader.backtest(first).table["predictor"].to_pylist()) == {"coin", "majority"}
    assert reader.models() == ()


def test_rows_become_what_the_caller_works_with(reader) -> None:
    rows = reader.bars(asof=EVENING, tickers=["AAPL"])
    assert rows.grain.startswith("one row per ticker and session")
    assert pa.table(rows).equals(rows.to_arrow())
    frame = rows.to_pandas()
    assert list(frame.columns) == list(rows.columns)
    assert len(frame) == len(rows) == 9
    news = reader.headlines(asof=EVENING)
    assert str(news.to_pandas()["available_at"].dt.tz) == "UTC"
    assert "<table" in rows._repr_html_()
    assert "9" in repr(rows)


def test_rows_become_polars(reader) -> None:
    polars = pytest.importorskip("polars")
    rows = reader.examples()
    frame = rows.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["example_id"].to_list() == rows.table["example_id"].to_pylist()


def test_rows_become_a_hugging_face_data_set(reader) -> None:
    pytest.importorskip("datasets")
    rows = reader.dataset().split("train")
    made = rows.to_datasets()
    assert made.column_names == list(rows.columns)
    assert made["output"][:] == rows.table["output"].to_pylist()


def test_a_missing_library_is_said_so(reader, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ReadError, match="pip install datasets"):
        reader.sql("select 1 as one").to_datasets()


OWN = pa.table(
    {
        "ticker": ["AAPL", "AAPL", "MSFT"],
        "known_at": pa.array(
            [datetime(2012, 5, 17), datetime(2012, 5, 22, 13, 25), datetime(2012, 5, 25)],  # noqa: DTZ001
            pa.timestamp("us", tz="UTC"),
        ),
        "pe": [10.0, 20.0, 30.0],
    }
)


def test_lookahead_an_own_table_is_joined_as_of_each_decision(reader) -> None:
    examples = reader.examples()
    joined = examples.join_asof(OWN)
    assert joined.table.select(examples.columns) == examples.table
    for row in joined.to_dicts():
        known = [
            own["pe"]
            for own in OWN.to_pylist()
            if own["ticker"] == row["ticker"] and own["known_at"] < row["decision_ts"]
        ]
        assert row["pe"] == (known[-1] if known else None), row["example_id"]
    at_the_instant = {row["session"]: row["pe"] for row in joined if row["ticker"] == "AAPL"}
    assert (at_the_instant[date(2012, 5, 22)], at_the_instant[date(2012, 5, 23)]) == (10.0, 20.0)
    stale = examples.join_asof(OWN.to_pandas(), within=timedelta(days=1)).table["pe"]
    assert 0 < stale.null_count < len(stale)
    everyone = examples.join_asof(OWN.drop_columns("ticker"), by=None).table["pe"].to_pylist()
    assert everyone[-2:] == [30.0, 30.0]


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        (OWN.rename_columns(["ticker", "known_at", "label"]), "Both tables have"),
        (OWN.rename_columns(["symbol", "known_at", "pe"]), "expected 'ticker' among them"),
        (pa.concat_tables([OWN, OWN.slice(0, 1)]), "1 rows of own repeat the ticker and known_at"),
        (OWN.set_column(1, "known_at", OWN["known_at"].cast(pa.timestamp("us"))), "time zone"),
        (OWN.set_column(1, "known_at", pa.nulls(3, pa.timestamp("us", tz="UTC"))), "3 rows of own"),
        ([{"ticker": "AAPL"}], "got a list"),
    ],
)
def test_an_own_table_that_cannot_be_joined_is_refused(reader, own: Any, complaint: str) -> None:
    with pytest.raises(ReadError, match=complaint):
        reader.examples().join_asof(own)


def test_rows_are_walked_and_cut_as_they_are_stored(reader) -> None:
    rows = reader.headlines(asof=LONG_AFTER)
    assert list(rows) == rows.to_dicts()
    assert rows.head(2).to_dicts() == rows.to_dicts()[:2]
    assert len(rows.head(10**6)) == len(rows)
    assert len(rows.head(0)) == 0


def test_a_day_may_be_a_date_a_text_or_a_timestamp(reader) -> None:
    pandas = pytest.importorskip("pandas")
    told = {
        len(reader.bars(asof=LONG_AFTER, start=start))
        for start in (
            date(2012, 5, 25),
            "2012-05-25",
            datetime(2012, 5, 25),  # noqa: DTZ001
            pandas.Timestamp("2012-05-25"),
            pandas.Timestamp("2012-05-25", tz="UTC"),
            pandas.Timestamp("2012-05-25").to_datetime64(),
        )
    }
    assert len(told) == 1
    moment = pandas.Timestamp("2012-05-25T13:25:00Z")
    assert reader.bars(asof=moment).table == reader.bars(asof="2012-05-25T13:25:00Z").table


def test_a_closed_reader_says_so(diary) -> None:
    with newsvane.connect(diary.root) as reader:
        kept = reader.bars(asof=LONG_AFTER)
    reader.close()
    assert "closed" in repr(reader)
    assert len(kept) > 0
    for read in (lambda: reader.snapshot_id, lambda: reader.bars(asof=LONG_AFTER), reader.dataset):
        with pytest.raises(ReadError, match="is closed"):
            read()


def test_markup_in_a_headline_stays_text(reader) -> None:
    shown = reader.sql("select '<script>alert(1)</script>' as title")._repr_html_()
    assert "<script>" not in shown


def test_nothing_can_be_written(reader, diary) -> None:
    before = reader.snapshot_id
    for query in ("delete from bars", "insert into bars select * from bars", "drop table bars"):
        with pytest.raises(LakeError, match="SELECT"):
            reader.sql(query)
    with pytest.raises(Exception, match="read-only"):
        reader._lake.transact(lambda tx: tx.append("bars", reader.sql("from bars").table))
    assert reader.snapshot_id == before


def test_an_earlier_snapshot_is_read_as_it_was(reader, diary) -> None:
    early = reader.dataset().snapshot_id - 12
    with newsvane.connect(diary.root, snapshot=early) as then:
        assert then.snapshot_id == early
        count = "select count(*) as n from bars"
        assert then.sql(count).to_dicts()[0]["n"] < reader.sql(count).to_dicts()[0]["n"]


def test_a_copied_data_root_is_read_where_it_lies(diary, reader, tmp_path) -> None:
    shutil.copytree(diary.root, tmp_path / "copy")
    with newsvane.connect(tmp_path / "copy") as copied:
        assert copied.bars(asof=LONG_AFTER).table == reader.bars(asof=LONG_AFTER).table
        assert len(copied.dataset().split("train")) > 0
        assert copied.sql("select count(*) as n from bars").to_dicts() == [{"n": 18}]


def test_no_warehouse_is_an_error_and_makes_none(tmp_path) -> None:
    with pytest.raises(LakeError, match=r"no warehouse at .*catalog\.sqlite"):
        newsvane.connect(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_configuration_finds_the_same_warehouse(diary, reader, tmp_path) -> None:
    config = tmp_path / "newsvane.toml"
    config.write_text(f'data_root = "{diary.root}"\n[dataset.clock]\nbar_lag = "PT2H"\n')
    with newsvane.connect(config=config) as opened:
        assert opened.dataset().dataset_id == reader.dataset().dataset_id
        late = "2012-05-30T21:00:00Z"
        assert len(opened.bars(asof=late)) == len(reader.bars(asof=late)) - 2
    with pytest.raises(ReadError, match="one of them"):
        newsvane.connect(diary.root, profile="sandbox")


@pytest.mark.parametrize(
    ("read", "complaint"),
    [
        (lambda r: r.headlines(asof="2012-06-04 09:00"), "time zone"),
        (lambda r: r.headlines(asof=datetime(2012, 6, 4)), "time zone"),  # noqa: DTZ001
        (lambda r: r.bars(asof="yesterday"), "time zone"),
        (lambda r: r.bars(asof=LONG_AFTER, start="06/04/2012"), "YYYY-MM-DD"),
        (lambda r: r.bars(asof=LONG_AFTER, tickers=[]), "symbols"),
        (lambda r: r.bars(asof=LONG_AFTER, start=datetime(2012, 5, 1, 9)), "session's date"),  # noqa: DTZ001
        (lambda r: r.bars(asof=LONG_AFTER, tickers="APPL"), "'APPL'.* such as AAPL"),
        (lambda r: r.headlines(asof=LONG_AFTER, tickers=["AAPL", "aapl"]), "'aapl'"),
        (lambda r: r.examples(tickers=["XYZ"]), "'XYZ'"),
        (lambda r: r.dataset("zzz"), "newsvane dataset build"),
        (lambda r: r.dataset().split("dev"), "train, validation, test"),
        (lambda r: r.evaluation(split="train"), "newsvane evaluate"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(reader, read: Any, complaint: str) -> None:
    with pytest.raises(ReadError, match=complaint):
        read(reader)


def test_an_older_warehouse_is_not_migrated_behind_the_reader(tmp_path) -> None:
    spec = LakeSpec().placed_below(tmp_path)
    with Lake.open(spec) as lake:
        lake._connection.execute("DROP TABLE tickers")
    with pytest.raises(LakeError, match="brings it up to date"):
        newsvane.connect(tmp_path)


def test_import_is_light() -> None:
    code = (
        "import sys, newsvane; heavy = {'pyarrow', 'duckdb', 'pandas', 'pydantic', 'flows', "
        "'prefect', 'torch'} & set(sys.modules); sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert done.returncode == 0
    assert Path(newsvane.__file__).with_name("py.typed").is_file()


def test_examples_of_the_notebook_page_run_as_printed(diary, monkeypatch, capsys) -> None:
    monkeypatch.chdir(diary.root.parent)
    assert diary.root.name == "data"
    names: dict[str, object] = {}
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE.read_text("utf-8"))
    assert len(blocks) > 5
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name} block {number}", "exec"), names)
    assert "no skill shown" in capsys.readouterr().out
