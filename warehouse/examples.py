"""Examples: what was known of a ticker before a session, and what became of it, set-based."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

import pyarrow as pa

from warehouse.lake import Lake, Transaction


class LookaheadError(RuntimeError):
    """Examples that know the future, or whose outcome lies in the past, were about to be kept."""


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """Parameters of the example marts; the `$names` of their SQL. Returns are fractions."""

    spec_id: str
    tickers: tuple[str, ...] | None
    exchange: str
    decide_at: str
    lead: timedelta
    bar_lag: timedelta
    entry: str
    horizon: int
    lower: float
    upper: float
    basis: str
    across_split: str
    min_headlines: int
    max_headlines: int
    max_title_chars: int
    template: str
    headline_template: str
    separator: str
    tradable: bool

    def parameters(self) -> Mapping[str, object]:
        """The values by the names the SQL knows them."""
        values = asdict(self)
        values["tickers"] = None if self.tickers is None else list(self.tickers)
        return values


def needed_sessions(lake: Lake, request: ExampleRequest) -> pa.Table:
    """One row per exchange in use: exchange, first_date, last_date of its bars and headlines."""
    return lake.read("marts/sessions_span", request.parameters())


def keep_sessions(lake: Lake, sessions: pa.Table) -> None:
    """Store calendar rows that are new or changed; nothing is committed if none is."""
    new = lake.read("marts/sessions_new", {}, calendar=sessions)
    if new.num_rows:
        lake.transact(lambda tx: tx.upsert("sessions", new, ("exchange", "session")))


def build_examples(lake: Lake, request: ExampleRequest) -> int:
    """Bring `examples` of the request's spec up to date and return how many rows changed.

    The sessions must be stored already. Nothing is committed if no example changes, nor if any
    row breaks the gate: then LookaheadError names the rule, the count and an example.
    """
    parameters = request.parameters()

    def refresh(tx: Transaction) -> int:
        for mart in ("sessions_clock", "labels_prices", "labels", "examples_news"):
            tx.run(f"marts/{mart}", parameters)
        tx.run("marts/examples_fresh", parameters)
        _refuse_lookahead(tx.run("marts/examples_gate", parameters))
        changes = int(tx.run("marts/examples_changes", parameters)["changes"][0].as_py())
        if changes:
            tx.run("marts/examples_publish", parameters)
        return changes

    return lake.transact(refresh)


def _refuse_lookahead(violations: pa.Table) -> None:
    if not violations.num_rows:
        return
    broken = "; ".join(
        f"{row['rule']} fails in {row['violations']} rows, first {row['first_example']}"
        for row in violations.to_pylist()
    )
    raise LookaheadError(
        f"The decision clock's gate refused the examples: {broken}. Expected no violation. "
        "Nothing was published; check the sessions' hours and the headlines' available_at."
    )
