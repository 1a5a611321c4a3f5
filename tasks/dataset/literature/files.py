"""Files of the public benchmarks, read as they are released: prices, features, labels, messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from tasks.dataset.literature.features import (
    AVERAGED,
    FEATURES,
    Floats,
    Ints,
    lagged,
    price_features,
)
from tasks.dataset.literature.protocol import Benchmark, LiteratureError

PRICES = ("date", "open", "high", "low", "close", "adj_close")
_RAW = dict(zip(("Date", "Open", "High", "Low", "Close", "Adj Close"), PRICES, strict=True))
_MADE = (*FEATURES[:5], *(f"adj_sum_{n}" for n in AVERAGED))
"""The features' names in the files of Soun et al. (2022)."""
UP, NEITHER, DOWN = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Archive:
    """A benchmark's files as columns.

    Of each ticker and session with prices, sorted by both: `ticker` (codes into `tickers`),
    `session` (days), `features` (shape (rows, 11)), `label` (1 up, 0 left out, -1 down).
    `messages`: ticker, day (date), text, in the order of their days, by ticker.
    `notes`: what was left out of the files, in sentences.
    """

    tickers: tuple[str, ...]
    ticker: Ints
    session: npt.NDArray[np.datetime64]
    features: Floats
    label: npt.NDArray[np.int8]
    messages: pa.Table
    notes: tuple[str, ...] = ()


def read_archive(folder: Path, rule: Benchmark) -> Archive:
    """Read `folder` in whichever of the released layouts it has. Raises LiteratureError.

    StockNet: price/raw/TICKER.csv with tweet/preprocessed/TICKER/DAY (JSON lines), or
    prices.parquet with tweets_preprocessed.parquet. BigData22 and CIKM18 as Soun et al. (2022)
    released them: price/TICKER.csv, features and labels made already, with tweet/TICKER/DAY.
    """
    if (folder / "prices.parquet").is_file():
        messages = _messages_of_table(folder / "tweets_preprocessed.parquet", rule.message_zone)
        return _of_prices(pq.read_table(folder / "prices.parquet"), messages, rule)
    if files := sorted((folder / "price" / "raw").glob("*.csv")):
        messages = _messages_of_files(folder / "tweet" / "preprocessed")
        return _of_prices(pa.concat_tables([_raw_prices(file) for file in files]), messages, rule)
    if files := sorted((folder / "price").glob("*.csv")):
        return _of_features(
            [_made_features(f) for f in files], _messages_of_files(folder / "tweet")
        )
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else "no folder"
    raise LiteratureError(
        f"The folder {folder} holds no benchmark: expected price/raw/TICKER.csv, price/TICKER.csv "
        f"or prices.parquet in it, got {found[:8]}. Give the folder that was cloned or unpacked."
    )


def _of_prices(prices: pa.Table, messages: pa.Table, rule: Benchmark) -> Archive:
    """Features and labels from bars: ticker and PRICES."""
    _require(prices, ("ticker", *PRICES), "The prices")
    bars = prices.num_rows
    for name in PRICES[1:]:
        positive = pc.greater(prices[name], 0.0)  # null, NaN and zero all fail
        prices = prices.filter(pc.fill_null(positive, False))
    left_out = bars - prices.num_rows
    prices = prices.sort_by([("ticker", "ascending"), ("date", "ascending")])
    tickers, ticker, session = _keys(prices)
    values = [np.asarray(prices[name].to_numpy(), dtype=np.float64) for name in PRICES[1:]]
    # The official code reads moves that were printed with six decimals: one row hangs on it.
    move = np.round(values[-1] / lagged(ticker, values[-1], 1) - 1.0, rule.decimals)
    label = np.where(
        move < rule.dead_band[0], DOWN, np.where(move >= rule.dead_band[1], UP, NEITHER)
    )
    notes = (f"{left_out} bars without prices were left out.",) if left_out else ()
    return Archive(
        tickers,
        ticker,
        session,
        price_features(ticker, *values),
        label.astype(np.int8),
        messages,
        notes,
    )


def _of_features(tables: Sequence[pa.Table], messages: pa.Table) -> Archive:
    """Features and labels as they were released."""
    table = pa.concat_tables(tables).sort_by([("ticker", "ascending"), ("date", "ascending")])
    tickers, ticker, session = _keys(table)
    features = np.column_stack([table[name].cast(pa.float64()).to_numpy() for name in _MADE])
    label = table["label"].cast(pa.float64()).to_numpy()
    strange = sorted(set(np.unique(label)) - {UP, NEITHER, DOWN})
    if strange:
        raise LiteratureError(
            f"The released labels hold {strange[:3]}: expected 1 (up), 0 (left out) and -1 (down)."
        )
    features[~(features > -123_320).all(axis=1)] = np.nan  # their files' sign for "not known"
    return Archive(tickers, ticker, session, features, label.astype(np.int8), messages)


def _keys(table: pa.Table) -> tuple[tuple[str, ...], Ints, npt.NDArray[np.datetime64]]:
    """Tickers, their codes and the sessions of a sorted table. Raises LiteratureError."""
    if not table.num_rows:
        raise LiteratureError("The files hold no prices: expected one ticker and session or more.")
    names = np.asarray(table["ticker"].to_pylist())
    session = table["date"].cast(pa.date32()).to_numpy().astype("datetime64[D]")
    tickers, ticker = np.unique(names, return_inverse=True)
    twice = np.flatnonzero((ticker[1:] == ticker[:-1]) & (session[1:] == session[:-1]))
    if len(twice):
        raise LiteratureError(
            f"{tickers[ticker[twice[0]]]} has two rows for {session[twice[0]]} ({len(twice)} such "
            "sessions): expected one per ticker and session. Remove the copies from the files."
        )
    return tuple(map(str, tickers)), ticker.astype(np.int64), session


def _raw_prices(file: Path) -> pa.Table:
    nothing = pv.ConvertOptions(null_values=["", "null", "NaN", "nan"])
    table = _csv(file, nothing)
    _require(table, tuple(_RAW), f"The file {file.name}")
    table = table.select(list(_RAW)).rename_columns(list(_RAW.values()))
    kinds = [pa.date32(), *[pa.float64()] * 5]
    return _cast(table, kinds, file).append_column("ticker", pa.repeat(file.stem, table.num_rows))


def _made_features(file: Path) -> pa.Table:
    table, names = _csv(file, pv.ConvertOptions()), ("date", *_MADE, "label")
    _require(table, names, f"The file {file.name}")
    kinds = [pa.date32(), *[pa.float64()] * (len(_MADE) + 1)]
    table = _cast(table.select(list(names)), kinds, file)
    return table.append_column("ticker", pa.repeat(file.stem, table.num_rows))


def _csv(file: Path, options: pv.ConvertOptions) -> pa.Table:
    try:
        return pv.read_csv(file, convert_options=options)
    except pa.ArrowInvalid as error:
        raise LiteratureError(f"The file {file} is no CSV with a header: {error}.") from error


def _cast(table: pa.Table, kinds: Sequence[pa.DataType], file: Path) -> pa.Table:
    fields = zip(table.column_names, kinds, strict=True)
    try:
        return table.cast(pa.schema(list(fields)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LiteratureError(
            f"The file {file} holds what is no day or number: {error}. Expected days as YYYY-MM-DD "
            "and numbers with a point; compare it with the released file."
        ) from error


def _messages_of_table(file: Path, zone: str) -> pa.Table:
    if not file.is_file():
        raise LiteratureError(
            f"The messages {file.name} are absent from {file.parent}: expected them beside "
            "prices.parquet."
        )
    table = pq.read_table(file)
    _require(table, ("ticker", "created_at", "text"), f"The file {file.name}")
    local = pc.local_timestamp(table["created_at"].cast(pa.timestamp("us", tz=zone)))
    columns = {"ticker": table["ticker"], "day": local.cast(pa.date32(), safe=False)}
    return _ordered(pa.table({**columns, "text": table["text"], "at": table["created_at"]}))


def _messages_of_files(folder: Path) -> pa.Table:
    """The messages of TICKER/DAY files, one JSON object a line; no folder: none."""
    rows = list(_lines(folder)) if folder.is_dir() else []
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    kinds = (pa.string(), pa.date32(), pa.string(), pa.int64())
    arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    return _ordered(pa.table(arrays, names=["ticker", "day", "text", "at"]))


def _lines(folder: Path) -> Iterator[tuple[str, date, str, int]]:
    for file in sorted(folder.glob("*/*")):
        try:
            day = date.fromisoformat(file.name)
        except ValueError as error:
            raise LiteratureError(
                f"The file {file} is named after no day: expected YYYY-MM-DD. Remove it."
            ) from error
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
            if line.strip():
                yield file.parent.name, day, _text(line, file, number), number


def _text(line: str, file: Path, number: int) -> str:
    """The message's text; words given one by one, as StockNet's are, are joined."""
    try:
        text = json.loads(line)["text"]
        return " ".join(text) if isinstance(text, list) else str(text)
    except (ValueError, TypeError, KeyError) as error:
        raise LiteratureError(
            f"Line {number + 1} of {file} is no message: expected a JSON object with the key "
            f"text, got {line[:60]!r}. Compare the file with the released one."
        ) from error


def _ordered(messages: pa.Table) -> pa.Table:
    keys = [
        ("ticker", "ascending"),
        ("day", "ascending"),
        ("at", "ascending"),
        ("text", "ascending"),
    ]
    text = pc.utf8_trim_whitespace(messages["text"].cast(pa.string()))
    messages = messages.set_column(messages.column_names.index("text"), "text", text)
    messages = messages.set_column(0, "ticker", messages["ticker"].cast(pa.string()))
    messages = messages.filter(pc.not_equal(messages["text"], ""))
    return messages.sort_by(keys).select(["ticker", "day", "text"])


def _require(table: pa.Table, names: Sequence[str], what: str) -> None:
    absent = [name for name in names if name not in table.column_names]
    if absent:
        raise LiteratureError(
            f"{what} lack the columns {absent}: expected {list(names)}, got {table.column_names}."
        )
