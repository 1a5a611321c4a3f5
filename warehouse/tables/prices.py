"""Publishing: a checked batch enters the warehouse in one commit, or not at all.

Publishing the same batch twice commits nothing. A bar or action that a source restates keeps its
former vintage in `bar_revisions` or `action_revisions`. The first source to publish a bar holds
it: a different number from another source is quarantined, never silently preferred.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, Transaction
from warehouse.storage.landing import Payload

_PAYLOADS = pa.schema(
    [
        ("payload_id", pa.string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("status", pa.int32()),
        ("headers", pa.string()),
        ("bytes", pa.int64()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class _Versioned:
    """A table whose rows have vintages: its key, and the statement that keeps a former one."""

    table: str
    key: tuple[str, ...]
    supersede: str


_BARS = _Versioned("bars", ("ticker", "session"), "bar_supersede")
_ACTIONS = _Versioned("actions", ("ticker", "ex_date", "kind"), "action_supersede")


class PublishError(ValueError):
    """A batch cannot be published as it is; nothing of it was written."""


@dataclass(frozen=True, slots=True)
class PricePublication:
    """What one commit changed. All zero: the batch was already in the warehouse."""

    bars_added: int
    bars_revised: int
    actions_added: int
    actions_revised: int
    quarantined: int


def publish_prices(
    lake: Lake,
    *,
    bars: pa.Table,
    actions: pa.Table,
    rejects: pa.Table,
    payloads: Sequence[Payload],
    partitions: pa.Table,
    now: datetime,
) -> PricePublication:
    """Commit bars, actions, rejects, payload rows and ledger rows together.

    The tables have the columns of the warehouse tables less vintage, recorded_at, attempts and
    the like, which this function assigns. `now` is UTC. Raises PublishError when `bars` or
    `actions` hold a key twice or `now` is not UTC.
    """
    require_utc(now)
    _require_unique(bars, ("ticker", "session"), "bars")
    _require_unique(actions, ("ticker", "ex_date", "kind"), "actions")

    def work(tx: Transaction) -> PricePublication:
        params = {"now": now}
        incoming = {"incoming_bars": bars, "incoming_actions": actions}
        bar_changes = tx.read("bar_changes", params, **incoming)
        action_changes = tx.read("action_changes", params, **incoming)
        conflicts = [
            tx.read("bar_conflicts", conflicting=_changed(bar_changes, "conflict")),
            tx.read("action_conflicts", conflicting=_changed(action_changes, "conflict")),
        ]
        bars_added, bars_revised = _apply(tx, _BARS, bar_changes, now)
        actions_added, actions_revised = _apply(tx, _ACTIONS, action_changes, now)
        record_payloads(tx, payloads)
        record_partitions(tx, partitions, now)
        return PricePublication(
            bars_added=bars_added,
            bars_revised=bars_revised,
            actions_added=actions_added,
            actions_revised=actions_revised,
            quarantined=sum(record_rejects(tx, table, now) for table in (rejects, *conflicts)),
        )

    return lake.transact(work)


def record_payloads(tx: Transaction, payloads: Sequence[Payload]) -> int:
    """Add a row for each payload and URL not yet known; returns how many were added."""
    rows = [
        {
            "payload_id": payload.payload_id,
            "source": payload.source,
            "url": payload.url,
            "status": payload.status,
            "headers": json.dumps(payload.headers),
            "bytes": len(payload.body),
            "fetched_at": payload.fetched_at,
        }
        for payload in payloads
    ]
    table = pa.Table.from_pylist(rows, schema=_PAYLOADS)
    return _count(tx.run("payloads_record", incoming_payloads=table))


def record_rejects(tx: Transaction, rejects: pa.Table, now: datetime) -> int:
    """Quarantine each record and reason not yet known; returns how many were added.

    `rejects` has the columns of `quarantine` less quarantine_id and quarantined_at.
    """
    return _count(tx.run("quarantine_record", {"now": now}, incoming_rejects=rejects))


def record_partitions(tx: Transaction, partitions: pa.Table, now: datetime) -> int:
    """Write what became of each requested range; returns how many ledger rows changed.

    `partitions` has the columns of the ledger less attempts and updated_at. A range that is
    already done with the same outcome is left alone; any other repeat adds an attempt.
    """
    _require_unique(partitions, ("source", "key", "range_start", "range_end"), "partitions")
    return _count(tx.run("partitions_record", {"now": now}, incoming_partitions=partitions))


def require_utc(now: datetime) -> None:
    """Raise PublishError unless `now` is an aware datetime in UTC."""
    if now.utcoffset() != timedelta(0):
        raise PublishError(f"Publishing needs the present instant in UTC, got {now!r}.")


def _apply(
    tx: Transaction, versioned: _Versioned, changes: pa.Table, now: datetime
) -> tuple[int, int]:
    added, revised = _changed(changes, "new"), _changed(changes, "revised")
    bookkeeping = ["change", "stored_source"]
    tx.append(versioned.table, added.drop_columns(bookkeeping))
    if revised.num_rows:
        tx.run(versioned.supersede, {"now": now}, superseding=revised)
        tx.upsert(versioned.table, revised.drop_columns(bookkeeping), versioned.key)
    return added.num_rows, revised.num_rows


def _changed(changes: pa.Table, change: str) -> pa.Table:
    return changes.filter(pc.equal(changes["change"], change))


def _count(answer: pa.Table) -> int:
    return int(answer.column(0)[0].as_py()) if answer.num_rows else 0


def _require_unique(table: pa.Table, key: tuple[str, ...], name: str) -> None:
    distinct = table.group_by(list(key)).aggregate([]).num_rows
    if distinct != table.num_rows:
        raise PublishError(
            f"The incoming {name} hold {table.num_rows} rows but {distinct} distinct keys "
            f"({', '.join(key)}); expected one row per key. Drop or quarantine the repeats first."
        )
