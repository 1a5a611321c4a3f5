"""Rows of a benchmark by its protocol: one per ticker and session whose move is up or down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.dataset.literature.features import Ints
from tasks.dataset.literature.files import NEITHER, UP, Archive
from tasks.dataset.literature.protocol import Benchmark, LiteratureError
from tasks.dataset.spec.render import RenderSpec

SPLITS = ("train", "validation", "test")
_CLOSE = np.timedelta64(21, "h")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one split, sorted by session and ticker.

    `table`: example_id, ticker, session, label_up, label_start_ts and label_end_ts (UTC; the
    closes of the session before and of its own, at 21:00, for their order alone), messages (how
    many in the window), text (all of them, oldest first), input and output (the language model's).
    `at`: each row's place in the archive.
    """

    split: str
    table: pa.Table
    at: Ints


def build_rows(archive: Archive, rule: Benchmark, render: RenderSpec) -> dict[str, Rows]:
    """The benchmark's rows by split. Raises LiteratureError where a split has no row.

    A row needs the session before, whose close its move starts from; it needs no message.
    """
    at = np.flatnonzero(archive.label != NEITHER)
    at = at[(at > 0) & (archive.ticker[at] == archive.ticker[at - 1])]
    at = at[np.lexsort((archive.ticker[at], archive.session[at]))]
    bounds = [rule.start, rule.validation_from, rule.test_from, rule.end]
    found = {}
    for split, first, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True):
        days = archive.session[at]
        own = at[(days >= np.datetime64(first)) & (days < np.datetime64(stop))]
        if not len(own):
            raise LiteratureError(
                f"No row of {rule.name} falls into {split} ({first} to {stop}, exclusive): the "
                f"files hold {_span(archive)}. Give the files of this benchmark."
            )
        found[split] = Rows(split, _table(archive, own, rule, render), own)
    return found


def _table(archive: Archive, at: Ints, rule: Benchmark, render: RenderSpec) -> pa.Table:
    session = archive.session[at]
    names = [archive.tickers[code] for code in archive.ticker[at]]
    text, shown, counts = _messages(archive, at, rule, render)
    label_up = archive.label[at] == UP
    opened = archive.session[at - 1] + _CLOSE
    stamp = pa.timestamp("us", tz="UTC")
    ids = [f"{name} {day}" for name, day in zip(names, session, strict=True)]
    inputs = [
        render.template.format(ticker=name, headlines=lines)
        for name, lines in zip(names, shown, strict=True)
    ]
    up, down = render.answers
    return pa.table(
        {
            "example_id": ids,
            "ticker": names,
            "session": pa.array(session, pa.date32()),
            "label_up": label_up,
            "label_start_ts": pa.array(opened.astype("datetime64[us]"), pa.timestamp("us")).cast(
                stamp
            ),
            "label_end_ts": pa.array(
                (session + _CLOSE).astype("datetime64[us]"), pa.timestamp("us")
            ).cast(stamp),
            "messages": counts,
            "text": text,
            "input": inputs,
            "output": np.where(label_up, up, down),
        }
    )


def _messages(
    archive: Archive, at: Ints, rule: Benchmark, render: RenderSpec
) -> tuple[pa.Array, list[str], Ints]:
    """All messages of each row's window, those a prompt shows, and how many there are."""
    messages, days = archive.messages, 1 << 20  # more days than any calendar here has
    codes = np.searchsorted(np.asarray(archive.tickers), messages["ticker"].to_numpy(False))
    codes = np.minimum(codes, len(archive.tickers) - 1)
    known = np.asarray(archive.tickers)[codes] == np.asarray(
        messages["ticker"].to_pylist(), dtype=str
    )
    day = messages["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    key, texts = (codes * days + day)[known], messages["text"].filter(pa.array(known))
    session = archive.session[at].astype(np.int64) + archive.ticker[at] * days
    first, stop = (np.searchsorted(key, session - back) for back in (rule.window, 0))
    cut = pc.utf8_slice_codeunits(texts, 0, render.max_title_chars)
    shown_from = np.maximum(first, stop - render.max_headlines)
    lines = pc.binary_join(_lists(cut, shown_from, stop), f"{render.separator}- ")
    prompts = [f"- {line}" if line else "- none" for line in lines.to_pylist()]
    return (
        pc.binary_join(_lists(texts, first, stop), "\n"),
        prompts,
        (stop - first).astype(np.int64),
    )


def _lists(texts: pa.ChunkedArray, first: Ints, stop: Ints) -> pa.Array:
    """For each row the texts from `first` to `stop`."""
    sizes = stop - first
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    taken = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, sizes)
    values = texts.take(pa.array(taken, pa.int64())).combine_chunks()
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _span(archive: Archive) -> str:
    first, last = (day.astype(object) for day in (archive.session.min(), archive.session.max()))
    assert isinstance(first, date)
    return f"{len(archive.tickers)} tickers from {first} to {last}"
