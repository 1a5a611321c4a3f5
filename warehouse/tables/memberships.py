"""Memberships of dated universes: what a file says now is what the warehouse holds."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from warehouse.lake import Lake, Transaction


def publish_memberships(
    lake: Lake,
    universe: str,
    members: pa.Table,
    *,
    renamed: pa.Table,
    rejects: pa.Table,
    now: datetime,
) -> bool:
    """Make the stored memberships of `universe` those of `members`; returns whether any changed.

    `members` has ticker, member_from and member_until; `renamed` (TICKERS) the former symbols to be
    known, `rejects` (REJECTS) what was refused. All in one transaction, and none where nothing is
    new: former memberships are those of former snapshots.
    """
    names = {"universe": universe}

    def work(tx: Transaction) -> bool:
        changed = not tx.read("memberships_stored", names).equals(members)
        if changed:
            tx.run("memberships_publish", names, incoming=members)
        tx.upsert("tickers", renamed, ("ticker", "alias", "valid_from"))
        tx.run("quarantine_record", {"now": now}, incoming_rejects=rejects)
        return changed

    return lake.transact(work)
