"""Examples: what was known of a ticker before a session, and what became of it, set-based."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, ReadSql, Transaction, sql

CountTokens = Callable[[pa.Array], pa.Array]
FROM_THE_START = date(1, 1, 1)
# Headlines that are worked on at a time: enough to keep every core busy, and few enough for a
# warehouse of any size to be built in the same memory.
STRETCH = 250_000
ALL_AT_ONCE = 1 << 60
_ONCE = ("sessions_clock", "examples_chunks", "examples_retold", "examples_placed")
_PER_STRETCH = ("labels_prices", "examples_gathered", "labels", "examples_context")


class LookaheadError(RuntimeError):
    """Examples that know the future, or whose outcome lies in the past, were about to be kept."""


class TokenBudgetError(RuntimeError):
    """A prompt does not fit its token budget even without a single headline."""


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """Parameters of the example statements; the `$names` of their SQL. Returns are fractions."""

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
    uses_summary: bool
    uses_age: bool
    max_tokens: int | None
    tradable: bool

    def parameters(self) -> dict[str, object]:
        """The values by the names the SQL knows them."""
        values = asdict(self)
        values["tickers"] = None if self.tickers is None else list(self.tickers)
        values["lookback"] = self.return_window if self.uses_context else 0
        values["one_session"] = self.entry == "open" and self.horizon == 1
        return values


def needed_sessions(lake: Lake, request: ExampleRequest) -> pa.Table:
    """One row per exchange in use: exchange, and the first_date and last_date of its data (UTC)."""
    return lake.read("sessions_span", request.parameters())


def build_examples(
    lake: Lake,
    request: ExampleRequest,
    count_tokens: CountTokens | None = None,
    *,
    stretch: int = STRETCH,
) -> int:
    """Bring `examples` of the request's spec up to date and return how many rows changed.

    Only sessions that changes of the warehouse since the last build can have touched are looked
    at; a build by other SQL, or the first one, looks at all. The calendar must be stored
    already. `count_tokens` maps texts to their token counts and is needed for a budget. About
    `stretch` headlines are in memory at a time. Nothing is committed if no source changed, nor if
    a row breaks the gate: then LookaheadError names the rule, the count and an example.
    """
    parameters = {**request.parameters(), "logic": _logic()}

    def refresh(tx: Transaction) -> int:
        (mark,) = tx.read("examples_watermark", parameters).to_pylist()
        if mark["followed"] == mark["snapshot_id"]:
            return 0
        with lake.frozen(mark["snapshot_id"]) as past:
            past("sessions_clock", parameters)
            since = _scope(past, parameters, mark)
            if since is None:
                return 0
            stretches = _stretches(past, parameters, request, count_tokens, since, stretch)
            changes = sum(_publish(tx, past, scoped) for scoped in stretches)
        tx.run("examples_followed", {**parameters, "snapshot_id": mark["snapshot_id"]})
        return changes

    return lake.transact(refresh)


def _publish(tx: Transaction, past: ReadSql, scoped: Mapping[str, object]) -> int:
    """Store what differs of one stretch; returns how many examples that were."""
    _refuse_lookahead(past("examples_gate", scoped))
    fresh = past("examples_derived")
    changed = tx.read("examples_changes", scoped, derived=fresh)
    if changed.num_rows:
        tx.run("examples_publish", scoped, derived=fresh, example_changes=changed)
    return int(changed.num_rows)


@contextmanager
def derived_examples(
    lake: Lake, request: ExampleRequest, count_tokens: CountTokens | None = None
) -> Iterator[None]:
    """While open, `examples` reads as what the lake gives now; it may be open read-only."""
    derive_examples(lake, request, count_tokens)
    with lake.override("examples", by="fresh_examples"):
        yield


def derive_examples(
    lake: Lake, request: ExampleRequest, count_tokens: CountTokens | None = None
) -> None:
    """Derive every example of the request into the temporary table `fresh_examples`.

    Nothing is stored or checked: this is how an audit asks what another warehouse would give.
    """
    for _ in derived_stretches(lake, request, count_tokens, stretch=ALL_AT_ONCE):
        pass


def derived_stretches(
    lake: Lake,
    request: ExampleRequest,
    count_tokens: CountTokens | None = None,
    *,
    stretch: int = STRETCH,
) -> Iterator[None]:
    """Derive the examples of one stretch of sessions after the other, oldest first.

    At each step the temporary table `fresh_examples` holds those of one stretch. Nothing is
    stored or checked.
    """
    parameters = request.parameters()
    lake.read("sessions_clock", parameters)
    for _ in _stretches(lake.read, parameters, request, count_tokens, FROM_THE_START, stretch):
        yield


def _stretches(
    run: ReadSql,
    parameters: Mapping[str, object],
    request: ExampleRequest,
    count_tokens: CountTokens | None,
    since: date,
    rows: int,
) -> Iterator[Mapping[str, object]]:
    """Derive stretch by stretch from session `since` on; gives the parameters of each."""
    asked = {**parameters, "from_session": since, "chunk_rows": rows}
    stretches = run("examples_chunks", asked).to_pylist()
    whole = {"whole": since == FROM_THE_START, "from_ts": stretches[0]["from_ts"]}
    run("examples_retold", {**asked, **whole})
    run("examples_placed", {**asked, **whole})
    for bounds in stretches:
        scoped = {**asked, **bounds}
        for name in _PER_STRETCH:
            run(name, scoped)
        run("examples_fresh", scoped)
        if request.max_tokens is not None:
            _fit_budget(run, scoped, request, count_tokens)
        yield scoped


def _scope(
    run: ReadSql, parameters: Mapping[str, object], mark: Mapping[str, int | None]
) -> date | None:
    """The first session to look at again, or None if nothing relevant has changed."""
    followed, last = mark["followed"], mark["snapshot_id"]
    if followed is None:
        return FROM_THE_START
    since = {**parameters, "first_snapshot": followed + 1, "last_snapshot": last}
    (found,) = run("examples_scope", since).to_pylist()
    return found["from_session"] if found["is_touched"] else None


def _fit_budget(
    run: ReadSql,
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
        rendered = run("examples_inputs")
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
        run("examples_allow", {"allowed": allowed}, over_budget=over)
        run("examples_fresh", parameters)


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
    names = (*_ONCE, *_PER_STRETCH, "examples_fresh")
    texts = [sql.statement(name).text for name in names]
    text = "\n".join([*texts, sql.macros(), *sql.views()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
