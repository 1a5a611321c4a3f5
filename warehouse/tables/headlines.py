"""Publishing headlines: new ones, revisions, tickers and stories enter in one commit, or none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    lake: Lake, batch: HeadlineBatch, *, now: datetime, join: bool = True
) -> HeadlinePublication:
    """Commit headlines, their tickers, rejects, payload rows and ledger rows together.

    A stored headline whose text changed keeps its earlier text in `headline_revisions` and is
    available in its new text from the moment that was seen. Publishing the same batch again
    commits nothing. With `join=False` stories are left for `stories.join_stories`, which is
    cheaper once after many batches than after each. `now` is UTC. Raises PublishError when
    `headlines` holds an id twice or `now` is not UTC.
    """
    require_utc(now)
    headlines = batch.headlines
    require_unique(headlines, ("headline_id",), "headlines")

    def work(tx: Transaction) -> HeadlinePublication:
        changes = tx.read("headline_changes", _span(headlines), incoming_headlines=headlines)
        added, revised = of_change(changes, "new"), of_change(changes, "revised")
        tx.append("headlines", added.drop_columns(_BOOKKEEPING))
        if revised.num_rows:
            tx.run("headline_supersede", {"now": now}, superseding=revised)
            tx.upsert("headlines", revised.drop_columns(_BOOKKEEPING), ("headline_id",))
        tickers = tx.run(
            "headline_tickers_record", incoming_tickers=batch.headline_tickers, changes=changes
        )
        return HeadlinePublication(
            added=added.num_rows,
            revised=revised.num_rows,
            tickers_added=affected(tickers),
            stories_joined=_join_stories(tx, pa.concat_tables([added, revised])) if join else 0,
            quarantined=record_batch(tx, batch, now),
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
