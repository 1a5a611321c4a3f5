"""Publishing prices: a validated batch enters the warehouse in one commit, or not at all.

Publishing the same batch twice commits nothing. A bar or action that a source restates keeps its
earlier vintage in `bar_revisions` or `action_revisions`. The first source to publish a bar holds
it: a different number from another source is quarantined, never silently preferred. Between the
sources of a batch's `precedence` the better one holds it, and what each gave is in `bar_readings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from warehouse.lake import Lake, Transaction
from warehouse.tables.batches import (
    ACTIONS,
    PriceBatch,
    of_change,
    record_batch,
    require_unique,
    require_utc,
)


@dataclass(frozen=True, slots=True)
class _Versioned:
    """A table whose rows have vintages: its key, and the statements that publish into it."""

    table: str
    key: tuple[str, ...]
    changes: str
    conflicts: str
    supersede: str


_BARS = _Versioned("bars", ("ticker", "session"), "bar_changes", "bar_conflicts", "bar_supersede")
_ACTIONS = _Versioned(
    "actions",
    ("ticker", "ex_date", "kind"),
    "action_changes",
    "action_conflicts",
    "action_supersede",
)


_READING = ("ticker", "session", "source")


@dataclass(frozen=True, slots=True)
class PricePublication:
    """What one commit changed. All zero: the batch was already in the warehouse.

    `quarantined` counts rejects that are new; `bars_refused` and `actions_refused` those that
    conflict with another source's, known or not; `withdrawn` are the actions (ACTIONS) that their
    source no longer gives: their last vintage is kept as superseded.
    """

    bars_added: int
    bars_revised: int
    actions_added: int
    actions_revised: int
    quarantined: int
    bars_refused: int = field(default=0, compare=False)
    actions_refused: int = field(default=0, compare=False)
    withdrawn: pa.Table = field(default_factory=ACTIONS.empty_table, compare=False)


def publish_prices(lake: Lake, batch: PriceBatch, *, now: datetime) -> PricePublication:
    """Commit bars, actions, rejects, payload rows and ledger rows together.

    `now` (UTC) is when the rows count as recorded. Raises PublishError when the bars or actions
    hold a key twice or `now` is not UTC.
    """
    require_utc(now)
    for versioned, rows in ((_BARS, batch.bars), (_ACTIONS, batch.actions)):
        require_unique(rows, versioned.key, versioned.table)
    require_unique(batch.readings, _READING, "bar_readings")

    def work(tx: Transaction) -> PricePublication:
        incoming = {"incoming_bars": batch.bars, "incoming_actions": batch.actions}
        incoming["share_factors"] = tx.read("share_factors", **incoming)
        params = {"now": now, "precedence": list(batch.precedence)}
        # Both are compared before either is written.
        bar_changes, action_changes = (
            tx.read(versioned.changes, params, **incoming) for versioned in (_BARS, _ACTIONS)
        )
        withdrawn = _withdraw(tx, batch, now) if batch.tells_actions else ACTIONS.empty_table()
        bars_added, bars_revised, bar_conflicts = _apply(tx, _BARS, bar_changes, now)
        actions_added, actions_revised, action_conflicts = _apply(tx, _ACTIONS, action_changes, now)
        if batch.readings.num_rows:
            readings = tx.read("readings_changed", {"now": now}, incoming_readings=batch.readings)
            tx.upsert("bar_readings", readings, _READING)
        tx.run("substitutions_record", {"now": now}, incoming_substitutions=batch.substitutions)
        return PricePublication(
            bars_added=bars_added,
            bars_revised=bars_revised,
            actions_added=actions_added,
            actions_revised=actions_revised,
            quarantined=record_batch(tx, batch, now, bar_conflicts, action_conflicts),
            bars_refused=bar_conflicts.num_rows,
            actions_refused=action_conflicts.num_rows,
            withdrawn=withdrawn,
        )

    return lake.transact(work)


def _withdraw(tx: Transaction, batch: PriceBatch, now: datetime) -> pa.Table:
    found = tx.read(
        "actions_withdrawn",
        incoming_bars=batch.bars,
        incoming_actions=batch.actions,
        incoming_rejects=batch.rejects,
    )
    if found.num_rows:
        tx.run("action_supersede", {"now": now}, superseding=found)
        tx.run("actions_withdraw", superseding=found)
    return found.select(ACTIONS.names)


def _apply(
    tx: Transaction, versioned: _Versioned, changes: pa.Table, now: datetime
) -> tuple[int, int, pa.Table]:
    """Write what is new or revised; returns how many of each, and the conflicts as rejects."""
    added, revised = of_change(changes, "new"), of_change(changes, "revised")
    bookkeeping = ["change", "stored_source"]
    tx.append(versioned.table, added.drop_columns(bookkeeping))
    if revised.num_rows:
        tx.run(versioned.supersede, {"now": now}, superseding=revised)
        tx.upsert(versioned.table, revised.drop_columns(bookkeeping), versioned.key)
    refused = pa.concat_tables([of_change(changes, "conflict"), of_change(changes, "repeat")])
    conflicts = tx.read(versioned.conflicts, conflicting=refused)
    return added.num_rows, revised.num_rows, conflicts
