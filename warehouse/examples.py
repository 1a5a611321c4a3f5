"""Examples: what was known of a ticker before a session, and what became of it, set-based."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, Transaction, sql_text

CountTokens = Callable[[pa.Array], pa.Array]
FROM_THE_START = date(1, 1, 1)
_MARTS = (
    "labels_prices",
    "examples_news",
    "examples_gathered",
    "labels",
    "examples_context",
    "examples_rendered",
)


class LookaheadError(RuntimeError):
    """Examples that know the future, or whose outcome lies in the past, were about to be kept."""


class TokenBudgetError(RuntimeError):
    """A prompt does not fit its token budget even without a single headline."""


class RunSql(Protocol):
    """Runs `sql/NAME.sql`: `Lake.read`, or `Transaction.run` inside a commit."""

    def __call__(
        self, name: str, /, params: Mapping[str, object] | None = None, **tables: pa.Table
    ) -> pa.Table: ...


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
    benchmark: str | None
    min_headlines: int
    max_headlines: int
    max_title_chars: int
    template: str
    headline_template: str
    separator: str
    uses_context: bool
    return_window: int
    mask: str | None
    max_tokens: int | None
    tradable: bool

    def parameters(self) -> dict[str, object]:
        """The values by the names the SQL knows them."""
        values = asdict(self)
        values["tickers"] = None if self.tickers is None else list(self.tickers)
        values["lookback"] = self.return_window if self.uses_context else 0
        return values


def needed_sessions(lake: Lake, request: ExampleRequest, calendar_version: str) -> pa.Table:
    """One row per exchange in use: exchange, first_date, last_date, laid_from, laid_until.

    The first two bound what bars and headlines speak of, the last two (or NULL) what is stored.
    """
    parameters = {**request.parameters(), "calendar_version": calendar_version}
    return lake.read("marts/sessions_span", parameters)


def keep_sessions(lake: Lake, sessions: pa.Table, calendar_version: str) -> None:
    """Store the calendar rows, in place of what was stored for the same exchanges and dates."""
    parameters = {"calendar_version": calendar_version}
    lake.transact(lambda tx: tx.run("marts/sessions_publish", parameters, calendar=sessions))


def build_examples(
    lake: Lake, request: ExampleRequest, count_tokens: CountTokens | None = None
) -> int:
    """Bring `examples` of the request's spec up to date and return how many rows changed.

    Only sessions that changes of the warehouse since the last build can have touched are looked
    at; a build by other SQL, or the first one, looks at all. The calendar must be stored
    already. `count_tokens` maps texts to their token counts and is needed for a budget. Nothing
    is committed if no source changed, nor if a row breaks the gate: then LookaheadError names the
    rule, the count and an example.
    """
    parameters = {**request.parameters(), "logic": _logic()}

    def refresh(tx: Transaction) -> int:
        tx.run("marts/sessions_clock", parameters)
        (mark,) = tx.run("marts/examples_watermark", parameters).to_pylist()
        scope = _scope(tx, parameters, mark)
        if scope is None:
            return 0
        scoped = {**parameters, "from_session": scope}
        _derive(tx.run, scoped, request, count_tokens)
        _refuse_lookahead(tx.run("marts/examples_gate", scoped))
        changes = int(tx.run("marts/examples_changes", scoped)["changes"][0].as_py())
        if changes:
            tx.run("marts/examples_publish", scoped)
        tx.run("marts/examples_followed", {**scoped, "snapshot_id": mark["snapshot_id"]})
        return changes

    return lake.transact(refresh)


@contextmanager
def derived_examples(
    lake: Lake, request: ExampleRequest, count_tokens: CountTokens | None = None
) -> Iterator[None]:
    """While open, `examples` reads as what the lake gives now; it may be open read-only."""
    derive_examples(lake, request, count_tokens)
    try:
        lake.read("marts/examples_stand_in")
        yield
    finally:
        lake.read("marts/examples_stand_down")


def derive_examples(
    lake: Lake, request: ExampleRequest, count_tokens: CountTokens | None = None
) -> None:
    """Derive every example of the request into the temporary table `fresh_examples`.

    Nothing is stored or checked: this is how an audit asks what another warehouse would give.
    """
    parameters = {**request.parameters(), "from_session": FROM_THE_START}
    lake.read("marts/sessions_clock", parameters)
    _derive(lake.read, parameters, request, count_tokens)


def _derive(
    run: RunSql,
    parameters: Mapping[str, object],
    request: ExampleRequest,
    count_tokens: CountTokens | None,
) -> None:
    for mart in _MARTS:
        run(f"marts/{mart}", parameters)
        if mart == "examples_news" and parameters["from_session"] != FROM_THE_START:
            run("marts/examples_retold", parameters)
    if request.max_tokens is not None:
        _fit_budget(run, parameters, request, count_tokens)
    run("marts/examples_fresh", parameters)


def _scope(
    tx: Transaction, parameters: Mapping[str, object], mark: Mapping[str, int | None]
) -> date | None:
    """The first session to look at again, or None if nothing relevant has changed."""
    followed, last = mark["followed"], mark["snapshot_id"]
    if followed is None:
        return FROM_THE_START
    if followed == last:
        return None
    since = {**parameters, "first_snapshot": followed + 1, "last_snapshot": last}
    (found,) = tx.run("marts/examples_scope", since).to_pylist()
    return found["from_session"] if found["is_touched"] else None


def _fit_budget(
    run: RunSql,
    parameters: Mapping[str, object],
    request: ExampleRequest,
    count_tokens: CountTokens | None,
) -> None:
    """Drop one more headline from each prompt over budget, oldest first, until all fit."""
    if count_tokens is None or request.max_tokens is None:
        raise TokenBudgetError(
            f"The spec has a budget of {request.max_tokens} tokens but no counter was passed; "
            "pass count_tokens for the tokenizer the spec names."
        )
    for allowed in range(request.max_headlines - 1, -2, -1):
        rendered = run("marts/examples_inputs")
        counts = count_tokens(rendered["input"].combine_chunks())
        over = rendered.filter(pc.greater(counts, request.max_tokens)).drop_columns(["input"])
        if not over.num_rows:
            return
        if allowed < 0:
            row = over.slice(0, 1).to_pylist()[0]
            raise TokenBudgetError(
                f"{over.num_rows} prompts exceed {request.max_tokens} tokens without any "
                f"headline, the first for {row['ticker']}. Shorten the template or raise the "
                "budget; the question is never cut."
            )
        run("marts/examples_allow", {"allowed": allowed}, over_budget=over)
        run("marts/examples_rendered", parameters)


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


def _logic() -> str:
    names = ("sessions_clock", *_MARTS, "examples_retold", "examples_fresh")
    text = "\n".join(sql_text(f"marts/{name}") for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
