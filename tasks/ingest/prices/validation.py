"""The row rules every bar and action must pass, whichever source it comes from.

The rules themselves are set-based SQL: `bar_validation` and `action_validation`.
"""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from warehouse.lake.scratch import Scratch
from warehouse.tables.batches import ACTIONS, BARS, REJECTS

_NUMBERS = ("open", "high", "low", "close", "volume", "vendor_adj_close")
CANDIDATES = pa.schema(
    {
        "ticker": pa.string(),
        "session": pa.date32(),
        "position": pa.int64(),
        **dict.fromkeys(_NUMBERS, pa.float64()),
        "basis_date": pa.date32(),
        "payload_id": pa.string(),
        "agrees": pa.bool_(),
    }
)
"""One row per bar as a source gave it. `position` is unique; `agrees` is false when the client
between vendor and us altered the bar."""

EARLIEST = date(1900, 1, 1)
"""No session before it is on record anywhere we read from; an earlier date is a slip of the pen."""

# Made of batches: `empty_table` would import pandas, a second of every command.
NO_CALENDAR = pa.Table.from_batches(
    [], schema=pa.schema([("session", pa.date32()), ("close_ts", pa.timestamp("us", tz="UTC"))])
)
"""An empty calendar: sessions are not checked."""
NO_DAYS = pa.Table.from_batches([], schema=pa.schema([BARS.field("ticker"), BARS.field("session")]))
"""No ticker and session at all."""


class PriceRules(BaseModel):
    """Limits of the row rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settle_seconds: float = Field(default=900.0, ge=0)
    """A session's bar counts as finished so many seconds after its close."""
    jump_limit: float = Field(default=20.0, gt=1)
    """A close that many times above or below its recent median is a unit mistake."""


def validate_bars(
    candidates: pa.Table,
    splits: pa.Table,
    calendar: pa.Table,
    rules: PriceRules,
    engine: Scratch,
    *,
    source: str,
    now: datetime,
    context: pa.Table | None = None,
    seen: pa.Table | None = None,
    ordered: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Split candidates (CANDIDATES) into good bars (BARS) and rejects (REJECTS), one reason each.

    `splits` has ticker, ex_date and value; `calendar` session and close_ts (UTC) of one exchange;
    `context` holds good bars around the candidates, so that jumps across batches are seen; `seen`
    the ticker and session of bars that the same file gave before.
    `ordered`: the source gives its bars by session.
    """
    validated = engine.read(
        "bar_validation",
        {
            "now": now,
            "settle_seconds": rules.settle_seconds,
            "jump_limit": rules.jump_limit,
            "ordered": ordered,
            "earliest": EARLIEST,
        },
        candidates=candidates,
        context=BARS.empty_table() if context is None else context,
        seen=NO_DAYS if seen is None else seen,
        splits=splits.select(["ticker", "ex_date", "value"]),
        calendar=calendar.select(["session", "close_ts"]),
    )
    validated = validated.append_column("source", pa.repeat(source, validated.num_rows))
    good, bad = _split(validated)
    return (
        good.select(BARS.names)
        .cast(BARS)
        .sort_by([("ticker", "ascending"), ("session", "ascending")]),
        _rejects(bad, "bar", [bad["ticker"], bad["session"]]),
    )


def validate_actions(
    candidates: pa.Table,
    calendar: pa.Table,
    bars: pa.Table,
    splits: pa.Table,
    rules: PriceRules,
    engine: Scratch,
) -> tuple[pa.Table, pa.Table]:
    """Split candidates (ACTIONS and `foreign`) into good actions and rejects, one reason each.

    `foreign` says of a dividend that it is paid in another currency. `bars` (BARS) are known good
    around the ex-dates: what an action does to the price is compared with them. `splits` are those
    on record.
    """
    validated = engine.read(
        "action_validation",
        {"jump_limit": rules.jump_limit},
        candidates=candidates,
        calendar=calendar.select(["session", "close_ts"]),
        bars=bars.select(["ticker", "session", "open", "close", "basis_date"]),
        splits=splits.select(["ticker", "ex_date", "value"]),
    )
    good, bad = _split(validated)
    return good.select(ACTIONS.names).cast(ACTIONS), _rejects(
        bad, "action", [bad["ticker"], bad["ex_date"], bad["kind"]]
    )


def _split(validated: pa.Table) -> tuple[pa.Table, pa.Table]:
    kept = pc.is_null(validated["reason"])
    return validated.filter(kept), validated.filter(pc.invert(kept))


def _rejects(bad: pa.Table, kind: str, key: list[pa.ChunkedArray]) -> pa.Table:
    parts = [part.cast(pa.string()).fill_null("?") for part in key]
    return pa.table(
        {
            "kind": pa.repeat(kind, bad.num_rows),
            "source": bad["source"],
            "key": pc.binary_join_element_wise(*parts, "@"),
            "reason": bad["reason"],
            "record": bad["record"],
            "payload_id": bad["payload_id"],
        },
        schema=REJECTS,
    )
