"""Publishing headlines: new ones, revisions, tickers and stories enter in one commit, or none.

A story is a connected component: headlines linked by equal or nearly equal words within a time
window, directly or through others, so that the same news counts once. It bears the id of its
earliest headline. The links depend on pairs of headlines alone, so neither the order of arrival
nor the cut of batches matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, Transaction
from warehouse.tables.batches import (
    HeadlineBatch,
    affected,
    of_change,
    record_batch,
    require_unique,
    require_utc,
)
from warehouse.tables.near_duplicates import near_duplicates

WINDOW = timedelta(hours=72)
"""How far apart in time two headlines of one story may be."""

SPAN = timedelta(days=30)
"""How long a story may last: what comes back day after day, such as a column's title, is many."""

PUBLISHER = (
    r"(The )?((\p{Lu}[\pL&.''’]*\s){0,3}(News|Newswires?|Times|Journal|Post|Herald|Tribune|Gazette|"
    r"Observer|Press|Wire|Magazine|Telegraph|Guardian|Independent|Mail|Standard|Chronicle|Examiner|"
    r"Globe|Star|Sun|Mirror|Review|Insider|Weekly|Daily|Online|Radio|TV|Network|Finance|Media|"
    r"Reporter|Dispatch|Register|Bulletin|Economist|Fool|Street|Blog)|Reuters|Bloomberg|CNBC|CNN|"
    r"BBC|NPR|NBC|CBS|ABC|MSNBC|AP|AFP|UPI|WSJ|FT|NYT|Barron[''’]s|MarketWatch|Benzinga|Zacks|"
    r"Seeking Alpha|Forbes|Fortune|Axios|Politico|Quartz|Engadget|TechCrunch|The Verge|Wired|Vox|"
    r"Nasdaq|Yahoo( Finance)?|Google|MSN|AOL|USA Today|Nikkei( Asia)?|Al Jazeera|Sky|Euronews|"
    r"TheStreet|InvestorPlace|Investopedia|Kiplinger|TipRanks|GuruFocus|Investing|PR Newswire|"
    r"Business Wire|GlobeNewswire|Accesswire|StreetInsider|Motley Fool|Time|Newsweek|BuzzFeed|"
    r"Mashable|Gizmodo|Ars Technica|ZDNet|CNET|VentureBeat|Digiday|Variety|Deadline|"
    r"[\pL\d-]+\.(com|net|org|co\.uk|io|tv|ca|de))"
)
"""What a publisher's name looks like (RE2) when aggregators append it to a title."""

_SPAN_ROWS = 200_000
_USUAL = 0.05
_BOOKKEEPING = ["incoming_id", "change"]


@dataclass(frozen=True, slots=True)
class HeadlinePublication:
    """What one commit changed. All zero: the batch was already in the warehouse."""

    added: int
    revised: int
    tickers_added: int
    stories_joined: int
    quarantined: int


def publish_headlines(
    lake: Lake, batch: HeadlineBatch, *, now: datetime, join: bool = True
) -> HeadlinePublication:
    """Commit headlines, their tickers, rejects, payload rows and ledger rows together.

    A stored headline whose text changed keeps its earlier text in `headline_revisions` and is
    available in its new text from the moment that was seen. Publishing the same batch again
    commits nothing. With `join=False` stories are left for `join_stories`, which is cheaper once
    after many batches than after each. `now` is UTC. Raises PublishError when `headlines` holds an
    id twice or `now` is not UTC.
    """
    require_utc(now)
    headlines = batch.headlines
    require_unique(headlines, ("headline_id",), "headlines")

    def work(tx: Transaction) -> HeadlinePublication:
        params = {**_span(headlines), "edits": batch.edits}
        changes = tx.read("headline_changes", params, incoming_headlines=headlines)
        added, revised = of_change(changes, "new"), of_change(changes, "revised")
        tx.append("headlines", added.drop_columns(_BOOKKEEPING))
        if revised.num_rows:
            tx.run("headline_supersede", {"now": now}, superseding=revised)
            tx.upsert("headlines", revised.drop_columns(_BOOKKEEPING), ("headline_id",))
        tickers = tx.run(
            "headline_tickers_record", incoming_tickers=batch.headline_tickers, changes=changes
        )
        changed = pa.concat_tables([added, revised])
        if sources := _perhaps_dated_by_the_day(changed):
            tx.run("headlines_redate", {"sources": sources})
        return HeadlinePublication(
            added=added.num_rows,
            revised=revised.num_rows,
            tickers_added=affected(tickers),
            stories_joined=_group(tx, **_span(changed)) if join and changed.num_rows else 0,
            quarantined=record_batch(tx, batch, now),
        )

    return lake.transact(work)


def join_stories(lake: Lake, first: datetime, last: datetime) -> int:
    """Join the stories of headlines published with `join=False` from `first` to `last` (UTC).

    Returns how many stories were absorbed by an earlier one. One commit.
    """
    return lake.transact(lambda tx: _group(tx, first, last))


def _span(headlines: pa.Table) -> dict[str, datetime]:
    span: dict[str, datetime] = pc.min_max(headlines["published_at"]).as_py()
    return {"first": span["min"], "last": span["max"]}


def _perhaps_dated_by_the_day(headlines: pa.Table) -> list[str]:
    """The sources of asserted headlines, if one time of day is usual among them or one is a day.

    Where every stamp has a time of its own there is nothing to learn, and looking is not free.
    """
    some = headlines.filter(pc.equal(headlines["availability"], "asserted"))
    if not some.num_rows:
        return []
    if not pc.any(pc.equal(some["granularity"], "day")).as_py():
        _, counts = pc.value_counts(some["published_at"].cast(pa.time64("us"))).flatten()
        if pc.max(counts).as_py() < _USUAL * some.num_rows:
            return []
    sources: list[str] = pc.unique(some["source"]).to_pylist()
    return sources


def _group(tx: Transaction, first: datetime, last: datetime) -> int:
    """Join the stories of a span with all they repeat, neighbours up to WINDOW outside included."""
    links = pa.concat_tables([_links(tx, begin, end) for begin, end in _parts(tx, first, last)])
    if not links.num_rows:
        return 0
    heads = tx.read("story_heads", links=links)
    merged, chains = _absorbed(heads, links)
    tx.run("story_merge", merged=merged)
    parts = tx.read("story_parts", {"span_days": SPAN.days}, chains=chains)
    tx.run("story_part", parts=parts)
    return int(merged.num_rows + parts.num_rows)


def _parts(tx: Transaction, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The span in equal parts of some _SPAN_ROWS headlines, so that memory stays bounded."""
    found = tx.read("story_span", {"first": first, "last": last})
    count = 1 + int(found["headlines"][0].as_py()) // _SPAN_ROWS
    length = (last - first) / count
    for number in range(count):
        yield first + number * length, first + (number + 1) * length


def _links(tx: Transaction, first: datetime, last: datetime) -> pa.Table:
    span = {"first": first, "last": last, "window": WINDOW}
    worded = tx.read("story_words", {**span, "publisher": PUBLISHER})
    pairs = near_duplicates(pc.unique(worded["words"]))
    return tx.read("story_links", span, worded=worded, similar_pairs=pairs)


def _absorbed(heads: pa.Table, links: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Stories that belong to an earlier one, as `story` and `root`; chains too long to be one.

    `heads` lists every story in the links, earliest first. A component that lasts longer than SPAN
    less the gaps at both its ends is no story but a `chain` of them, such as a daily column: that
    way a part in its middle is too long together with any neighbour.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    stories = heads["story"].combine_chunks()
    count = len(stories)
    left = pc.index_in(links["story"], stories).to_numpy()
    right = pc.index_in(links["other"], stories).to_numpy()
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    root = first[component]
    begins, ends = (heads[name].cast(pa.int64()).to_numpy() for name in ("first_at", "last_at"))
    last = np.full(count, np.iinfo(np.int64).min)
    np.maximum.at(last, component, ends)
    longest = (SPAN - 2 * WINDOW) // timedelta(microseconds=1)
    chained = (last[component] - begins[root]) > longest
    late = np.flatnonzero((root != np.arange(count)) & ~chained)
    return (
        pa.table({"story": stories.take(late), "root": stories.take(root[late])}),
        pa.table({"story": stories.filter(pa.array(chained)), "chain": component[chained]}),
    )
