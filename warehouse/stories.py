"""Grouping headlines into stories, so that one piece of news counts once.

A story is a connected component: headlines linked by equal or nearly equal words within a time
window, directly or through others. It bears the id of its earliest headline. The links depend on
pairs of headlines alone, so neither the order of arrival nor the cut of batches matters.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Transaction

WINDOW = timedelta(hours=72)
"""How far apart in time two tellings of one story may be."""


def group_stories(tx: Transaction, changed: pa.Table) -> int:
    """Join the stories of the headlines in `changed` with those they repeat or are repeated by.

    `changed` needs `published_at`; its headlines are already stored. Returns how many stories were
    absorbed by an earlier one.
    """
    if not changed.num_rows:
        return 0
    links = tx.run("staging/story_links", {"window": WINDOW}, changed=changed)
    if not links.num_rows:
        return 0
    heads = tx.run("staging/story_heads", links=links)
    merged = _absorbed(heads["story"].combine_chunks(), links)
    tx.run("staging/story_merge", merged=merged)
    return int(merged.num_rows)


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
