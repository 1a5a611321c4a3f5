"""Grouping headlines into stories, so that the same news counts once.

A story is a connected component: headlines linked by equal or nearly equal words within a time
window, directly or through others. It bears the id of its earliest headline. The links depend on
pairs of headlines alone, so neither the order of arrival nor the cut of batches matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, Transaction
from warehouse.tables.near_duplicates import near_duplicates

WINDOW = timedelta(hours=72)
"""How far apart in time two headlines of one story may be."""

_SPAN_ROWS = 200_000


def join_stories(lake: Lake, first: datetime, last: datetime) -> int:
    """Group what was published with `join=False`; see `group_stories`. One commit."""
    return lake.transact(lambda tx: group_stories(tx, first, last))


def group_stories(tx: Transaction, first: datetime, last: datetime) -> int:
    """Join the stories of stored headlines published from `first` to `last` with all they repeat.

    Neighbours up to WINDOW outside the span are taken into account. Returns how many stories were
    absorbed by an earlier one.
    """
    parts = [_links(tx, begin, end) for begin, end in _spans(tx, first, last)]
    links = pa.concat_tables(parts)
    if not links.num_rows:
        return 0
    heads = tx.read("story_heads", links=links)
    merged = _absorbed(heads["story"].combine_chunks(), links)
    tx.run("story_merge", merged=merged)
    return int(merged.num_rows)


def _spans(tx: Transaction, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The span in equal parts of some _SPAN_ROWS headlines, so that memory stays bounded."""
    found = tx.read("story_span", {"first": first, "last": last})
    count = 1 + int(found["headlines"][0].as_py()) // _SPAN_ROWS
    length = (last - first) / count
    for number in range(count):
        yield first + number * length, first + (number + 1) * length


def _links(tx: Transaction, first: datetime, last: datetime) -> pa.Table:
    span = {"first": first, "last": last, "window": WINDOW}
    worded = tx.read("story_words", span)
    pairs = near_duplicates(pc.unique(worded["words"]))
    return tx.read("story_links", span, worded=worded, similar_pairs=pairs)


def _absorbed(stories: pa.Array, links: pa.Table) -> pa.Table:
    """Each story that is not the earliest of its component, with the one that is, as `root`.

    `stories` lists every story in the links, earliest first.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(stories)
    left = pc.index_in(links["story"], stories).to_numpy()
    right = pc.index_in(links["other"], stories).to_numpy()
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    root = first[component]
    late = np.flatnonzero(root != np.arange(count))
    return pa.table({"story": stories.take(late), "root": stories.take(root[late])})
