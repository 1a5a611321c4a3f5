"""What every vendor of daily bars does: it is asked for one ticker, and its answer becomes rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from tasks.ingest.prices.coverage import TradingSpan
from tasks.ingest.prices.spec import Basis
from tasks.ingest.prices.validation import CANDIDATES
from warehouse.lake.scratch import Scratch
from warehouse.storage.landing import Payload
from warehouse.tables.schemas import without

ANSWER_BARS = without(CANDIDATES, "ticker", "basis_date", "payload_id", "agrees")
"""One row per bar of one answer, in the answer's order."""

ANSWER_ACTIONS = pa.schema(
    {"ex_date": pa.date32(), "kind": pa.string(), "value": pa.float64(), "foreign": pa.bool_()}
)
"""One row per event of one answer. kind: dividend | split. `foreign`: a dividend that is paid in
another currency than the prices."""


class AnswerError(ValueError):
    """An answer does not have the shape of the vendor's bars, or is one to another question."""


class VendorLimitError(RuntimeError):
    """The vendor says that its limit is reached: it gives nothing more in this run."""


@dataclass(frozen=True, slots=True)
class VendorReading:
    """One answer read: its bars (CANDIDATES) and its actions (ANSWER_ACTIONS)."""

    payload: Payload
    candidates: pa.Table
    events: pa.Table


class PriceVendor(Protocol):
    """One vendor of daily bars.

    `source` names it in the warehouse; `basis` is the share basis it quotes on. `tells_actions`: it
    gives the actions of a day with its bar, so that one it no longer gives is withdrawn.
    """

    @property
    def source(self) -> str: ...

    @property
    def basis(self) -> Basis: ...

    @property
    def tells_actions(self) -> bool: ...

    def symbol(self, ticker: str) -> str:
        """What the vendor calls a ticker."""

    def read(
        self,
        ticker: str,
        first: date,
        last: date,
        engine: Scratch,
        land: Callable[[Payload], None],
    ) -> VendorReading:
        """Ask for the exchange dates first..last, both inclusive, and read the answer.

        `land` is handed every payload before it is parsed. Raises whatever an answer makes of the
        client: the ticker fails, the others go on.
        """

    def span(self, payload: Payload, ticker: str) -> TradingSpan:
        """From when to when the ticker traded, as far as an answer of the vendor tells."""


def fetch_date(payload: Payload, zone: str) -> date:
    """The exchange's date at which a payload was fetched."""
    return payload.fetched_at.astimezone(ZoneInfo(zone)).date()


def answer_bars(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of an answer as ANSWER_BARS, in their order; what is no number or no day is null."""
    columns: dict[str, list[Any]] = {
        "session": [day(row.get("session")) for row in rows],
        "position": list(range(len(rows))),
    }
    for name in ("open", "high", "low", "close", "volume", "vendor_adj_close"):
        columns[name] = [number(row.get(name)) for row in rows]
    return pa.table(columns, schema=ANSWER_BARS)


def number(value: object) -> float | None:
    """A number as a vendor writes it, also as text; None for anything else."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def day(value: object) -> date | None:
    """The date that a text such as 2024-01-31 or 2024-01-31T00:00:00Z begins with; else None."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
