"""Batches: the typed rows, rejects and payloads that a source hands on to be published whole.

Every batch already passed its source's row rules; nothing in it has touched the warehouse except
the landing zone. Times are UTC; dates are the exchange's local dates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Transaction
from warehouse.storage.landing import Payload
from warehouse.tables import schemas
from warehouse.tables.schemas import without

Clock = Callable[[], datetime]
"""Answers the present instant, UTC and aware."""

Land = Callable[[Payload], str]
"""Stores a payload durably and returns its payload_id. Called before the payload is parsed."""

# A batch has the columns of its tables less those that publishing assigns.
BARS = without(schemas.BARS, "recorded_at", "vintage")
ACTIONS = without(schemas.ACTIONS, "recorded_at", "vintage")
SUBSTITUTIONS = without(schemas.SUBSTITUTIONS, "recorded_at")
HEADLINES = without(schemas.HEADLINES, "story_id", "edited_at", "revision")
HEADLINE_TICKERS = schemas.HEADLINE_TICKERS
FEATURES = without(schemas.FEATURES, "revision")
REJECTS = without(schemas.QUARANTINE, "quarantine_id", "quarantined_at")
PARTITIONS = pa.schema(
    [*without(schemas.PARTITIONS, "attempts", "retry_at", "updated_at"), ("again", pa.bool_())]
)
"""`again`: whether a partial or empty range is asked again later. Null: a partial one is."""


class PublishError(ValueError):
    """A batch cannot be published as it is; nothing of it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What every batch carries beside its rows.

    `rejects` (REJECTS) go to `quarantine`, `payloads` to `payloads`, `partitions` (PARTITIONS, one
    row per source, key and inclusive requested range) to the ledger. `rows` is how many rows of an
    archive the batch accounts for: each is kept, repeated or rejected.
    """

    rejects: pa.Table = field(default_factory=REJECTS.empty_table)
    payloads: tuple[Payload, ...] = ()
    partitions: pa.Table = field(default_factory=PARTITIONS.empty_table)
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBatch(Batch):
    """Daily bars (BARS) and corporate actions (ACTIONS) of one request set.

    `missing` pairs each requested ticker that could not be served with the error that says why;
    such a ticker has a failed row in `partitions` and no bars. `tells_actions`: the source gives
    the actions of a day with its bar, so that one it no longer gives is withdrawn.
    `precedence` names the sources whose bars may take each other's place, the best first: a bar of
    a better one is the next vintage of a worse one's, one of a worse one changes nothing.
    `readings` (BARS, unique on ticker, session and source) are the bars of all of them.
    `substitutions` (SUBSTITUTIONS) say for which bars a vendor stood in for a better one, and why.
    `notes` pairs tickers with what other vendors than the first did for them, in words.
    """

    bars: pa.Table = field(default_factory=BARS.empty_table)
    readings: pa.Table = field(default_factory=BARS.empty_table)
    precedence: tuple[str, ...] = ()
    substitutions: pa.Table = field(default_factory=SUBSTITUTIONS.empty_table)
    notes: tuple[tuple[str, str], ...] = ()
    actions: pa.Table = field(default_factory=ACTIONS.empty_table)
    tells_actions: bool = False
    requested: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineBatch(Batch):
    """Headlines (HEADLINES) of one feed over one request set, and their HEADLINE_TICKERS.

    `repeated` counts the rows of an archive that tell a headline of this batch again.
    `edits`: what comes again in other words may be an edit of a stored headline. Not so in an
    archive: nobody watched its rows change, and what they mean must not depend on how it is cut.
    """

    headlines: pa.Table = field(default_factory=HEADLINES.empty_table)
    headline_tickers: pa.Table = field(default_factory=HEADLINE_TICKERS.empty_table)
    edits: bool = True
    repeated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBatch(Batch):
    """Values (FEATURES) of one feature set, unique on ticker, known_at and name.

    `kept` and `repeated` count rows of the archive: a row with several columns is several values.
    """

    features: pa.Table = field(default_factory=FEATURES.empty_table)
    kept: int = 0
    repeated: int = 0


def record_batch(tx: Transaction, batch: Batch, now: datetime, *conflicts: pa.Table) -> int:
    """Record payloads, ledger rows and rejects; returns how many rejects are new.

    `conflicts` (REJECTS) are those that publishing itself found. A range that is already done with
    the same outcome is left alone; any other repeat adds an attempt.
    """
    require_unique(batch.partitions, ("source", "key", "range_start", "range_end"), "partitions")
    tx.run("payloads_record", incoming_payloads=_payload_rows(batch.payloads))
    _record_partitions(tx, batch.partitions, now)
    return sum(
        affected(tx.run("quarantine_record", {"now": now}, incoming_rejects=rejects))
        for rejects in (batch.rejects, *conflicts)
    )


def _record_partitions(tx: Transaction, incoming: pa.Table, now: datetime) -> None:
    """Write ledger rows, and settle what they bring of ranges recorded before.

    A session with a bar is not missing, whoever brought it; a range that finer ones cover whole
    is replaced by them.
    """
    if not incoming.num_rows:
        return
    rows = tx.read("partitions_incoming", incoming_partitions=incoming)
    if tx.read("partitions_open", incoming_partitions=rows).num_rows:
        settled = tx.read("partitions_settled", incoming_partitions=rows)
        covered = tx.read("partitions_covered", incoming_partitions=rows)
        rows = tx.read("partitions_without_repeats", incoming_partitions=rows)
        tx.run("partitions_settle", {"now": now}, settled=settled)
        tx.run("partitions_replace", covered=covered)
    tx.run("partitions_record", {"now": now}, incoming_partitions=rows)


def require_utc(now: datetime) -> None:
    """Raise PublishError unless `now` is an aware datetime in UTC."""
    if now.utcoffset() != timedelta(0):
        raise PublishError(f"Publishing needs the present instant in UTC, got {now!r}.")


def require_unique(table: pa.Table, key: tuple[str, ...], name: str) -> None:
    """Raise PublishError when the rows of `table` hold a key twice."""
    distinct = table.group_by(list(key)).aggregate([]).num_rows
    if distinct != table.num_rows:
        raise PublishError(
            f"The incoming {name} hold {table.num_rows} rows but {distinct} distinct keys "
            f"({', '.join(key)}); expected one row per key. Merge or quarantine the repeats first."
        )


def of_change(changes: pa.Table, change: str) -> pa.Table:
    """The rows of one kind of change (new | revised | conflict | repeat | same)."""
    return changes.filter(pc.equal(changes["change"], change))


def affected(answer: pa.Table) -> int:
    """How many rows a writing statement inserted or changed."""
    return int(answer.column(0)[0].as_py()) if answer.num_rows else 0


def _payload_rows(payloads: Sequence[Payload]) -> pa.Table:
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
    return pa.Table.from_pylist(rows, schema=schemas.PAYLOADS)
