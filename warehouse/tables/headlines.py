"""Publishing headlines: new ones, revisions, tickers and stories enter in one commit, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, Transaction
from warehouse.storage.landing import Payload
from warehouse.tables.prices import (
    PublishError,
    record_partitions,
    record_payloads,
    record_rejects,
    require_utc,
)
from warehouse.tables.stories import group_stories

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
    lake: Lake,
    *,
    headlines: pa.Table,
    headline_tickers: pa.Table,
    rejects: pa.Table,
    payloads: Sequence[Payload],
    partitions: pa.Table,
    now: datetime,
    join: bool = True,
) -> HeadlinePublication:
    """Commit headlines, their tickers, rejects, payload rows and ledger rows together.

    `headlines` has the columns of the warehouse table less story_id, edited_at and revision. A
    stored headline whose words changed keeps its former wording in `headline_revisions` and is
    available in its new wording from the moment that was seen. Publishing the same batch again
    commits nothing. With `join=False` stories are left for `stories.join_stories`, which is
    cheaper once after many batches than after each. `now` is UTC. Raises PublishError when
    `headlines` holds an id twice or `now` is not UTC.
    """
    require_utc(now)
    distinct = pc.count_distinct(headlines["headline_id"]).as_py()
    if distinct != headlines.num_rows:
        raise PublishError(
            f"The incoming headlines hold {headlines.num_rows} rows but {distinct} distinct "
            "headline_ids; expected one row per headline. Merge the repeats first."
        )

    def work(tx: Transaction) -> HeadlinePublication:
        changes = tx.read("headline_changes", _span(headlines), incoming_headlines=headlines)
        added, revised = _changed(changes, "new"), _changed(changes, "revised")
        tx.append("headlines", added.drop_columns(_BOOKKEEPING))
        if revised.num_rows:
            tx.run("headline_supersede", {"now": now}, superseding=revised)
            tx.upsert("headlines", revised.drop_columns(_BOOKKEEPING), ("headline_id",))
        tickers = tx.run(
            "headline_tickers_record", incoming_tickers=headline_tickers, changes=changes
        )
        joined = _join_stories(tx, pa.concat_tables([added, revised])) if join else 0
        record_payloads(tx, payloads)
        record_partitions(tx, partitions, now)
        return HeadlinePublication(
            added=added.num_rows,
            revised=revised.num_rows,
            tickers_added=int(tickers.column(0)[0].as_py()) if tickers.num_rows else 0,
            stories_joined=joined,
            quarantined=record_rejects(tx, rejects, now),
        )

    return lake.transact(work)


def _join_stories(tx: Transaction, changed: pa.Table) -> int:
    if not changed.num_rows:
        return 0
    span = _span(changed)
    return group_stories(tx, span["first"], span["last"])


def _span(headlines: pa.Table) -> dict[str, datetime]:
    span = pc.min_max(headlines["published_at"]).as_py()
    return {"first": span["min"], "last": span["max"]}


def _changed(changes: pa.Table, change: str) -> pa.Table:
    return changes.filter(pc.equal(changes["change"], change))
