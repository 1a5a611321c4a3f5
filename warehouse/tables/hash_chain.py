"""The hash chain over what must never change: forward predictions, payloads, data sets, models."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from warehouse.lake import Lake, Transaction


def seal(lake: Lake, *, now: datetime) -> str | None:
    """Add one link over every record not yet sealed and return the new head of the chain.

    Returns None, and commits nothing, when there is none. `now` is UTC. Keep the head somewhere
    else too (a report, a message): only then can a chain rewritten as a whole be told.
    """

    def work(tx: Transaction) -> pa.Table:
        tx.read("seal_records")
        return tx.run("seal_append", {"now": now})

    added = lake.transact(work)
    return str(added["hash"][0].as_py()) if added.num_rows else None


def findings(lake: Lake) -> pa.Table:
    """One row (subject, record_id, problem, seal_no) per record or seal that is not as sealed."""
    lake.read("seal_records")
    return lake.read("seal_findings")


def chain(lake: Lake) -> pa.Table:
    """All seals, oldest first; the last one's `hash` is the head."""
    return lake.read("seal_chain")


def seal_of(lake: Lake, subject: str, record_id: str) -> pa.Table:
    """The seal of one record: present_hash, sealed_hash, seal_no, sealed_at; no row if unknown.

    `subject`: prediction, payload, dataset or model. A record not sealed yet has nulls.
    """
    lake.read("seal_records")
    return lake.read("seal_of_record", {"subject": subject, "record_id": record_id})
