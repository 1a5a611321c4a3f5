"""Examples: what was known of a ticker before a session, and what became of it, set-based."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, ReadSql, Transaction, sql

CountTokens = Callable[[pa.Array], pa.Array]
Parameters = Mapping[str, Any]
"""The `$names` of the statements and their values, as `DatasetSpec.sql_parameters()` gives them."""

FROM_THE_START = date(1, 1, 1)
# Headlines that are worked on at a time: enough to keep every core busy, and few enough for a
# warehouse of any size to be built in the same memory.
BATCH_HEADLINES = 250_000
ALL_AT_ONCE = 1 << 60
_ONCE = (
    "sessions_clock",
    "universe_members",
    "examples_batches",
    "examples_repeats",
    "examples_placed",
)
_PER_BATCH = ("labels_prices", "examples_gathered", "labels", "examples_context")
_FEATURES = ("features_known", "features_joined")
# What examples are made of, and what tells the earliest change of it. A change feed is read of
# those tables alone that changed, because of one that did not it takes some 25 ms all the same.
_CHANGES = {
    "headlines": "examples_changed_headlines",
    "headline_tickers": "examples_changed_headlines",
    "headline_revisions": "examples_changed_headline_revisions",
    "bars": "examples_changed_bars",
    "bar_revisions": "examples_changed_bar_revisions",
    "actions": "examples_changed_actions",
    "sessions": "examples_changed_sessions",
    "features": "examples_changed_features",
    "memberships": "examples_changed_memberships",
    "tickers": "examples_changed_tickers",
}


class LookaheadError(RuntimeError):
    """Examples that know the future, or whose outcome lies in the past, were about to be kept."""


class UnknownFeatureError(RuntimeError):
    """A specification wants an own column that was never imported."""


class TokenBudgetError(RuntimeError):
    """A prompt does not fit its token budget even without a single headline."""


class UniverseError(RuntimeError):
    """The spec names a dated universe that the warehouse does not hold."""


def needed_sessions(lake: Lake, parameters: Parameters) -> pa.Table:
    """One row per exchange in use: exchange, and the first_date and last_date of its data (UTC)."""
    return lake.read("sessions_span", parameters)


def build_examples(
    lake: Lake,
    parameters: Parameters,
    count_tokens: CountTokens | None = None,
    *,
    batch: int = BATCH_HEADLINES,
) -> int:
    """Bring `examples` of the parameters' spec up to date and return how many rows changed.

    Only sessions that changes of the warehouse since the last build can have touched are looked
    at; a build by other SQL, or the first one, looks at all. The calendar must be stored
    already. `count_tokens` maps texts to their token counts and is needed for a budget. About
    `batch` headlines are in memory at a time. Nothing is committed if no source changed, nor if
    a row breaks the decision clock: then LookaheadError names the rule, the count and an example.
    Raises UnknownFeatureError for own columns that were never imported.
    """
    if parameters["uses_features"]:
        _refuse_unknown(lake.read("features_unknown", parameters))
    marked = {**parameters, "logic": _logic()}

    def refresh(tx: Transaction) -> int:
        (mark,) = tx.read("examples_watermark", marked).to_pylist()
        if mark["followed"] == mark["snapshot_id"]:
            return 0
        with lake.frozen(mark["snapshot_id"]) as reader:
            past = reader.read
            _lay_out(past, parameters)
            with reader.together():
                since = _scope(past, parameters, mark)
            if since is None:
                return 0
            publish = _publish if tx.read("examples_any", parameters).num_rows else _publish_first
            batches = _batches(past, parameters, count_tokens, since, batch)
            changes = sum(publish(tx, past, scoped) for scoped in batches)
        tx.run("examples_followed", {**marked, "snapshot_id": mark["snapshot_id"]})
        return changes

    return lake.transact(refresh)


def _lay_out(run: ReadSql, parameters: Parameters) -> None:
    """The clock, the listings, and who of a dated universe is a member when.

    Snapshots from before universes had dates hold no memberships; no spec of theirs asks for any.
    """
    run("sessions_clock", parameters)
    if parameters["universe"] is None:
        return
    if not run("memberships_stored", parameters).num_rows:
        raise UniverseError(
            f"The warehouse holds no memberships of {parameters['universe']!r}, which the data set "
            "is to be built for. Set universe.index to its file and ingest, or correct "
            "dataset.universe; nothing was built."
        )
    run("universe_members", parameters)


def _publish(tx: Transaction, past: ReadSql, scoped: Parameters) -> int:
    """Store what differs of one batch; returns how many examples that were."""
    _refuse_lookahead(past("examples_violations", scoped))
    fresh = past("examples_derived")
    changed = tx.read("examples_changes", scoped, derived=fresh)
    if changed.num_rows:
        tx.run("examples_publish", scoped, derived=fresh, example_changes=changed)
    return int(changed.num_rows)


def _publish_first(tx: Transaction, past: ReadSql, scoped: Parameters) -> int:
    """Store one batch of a spec of which nothing is stored: `_publish` with nothing to compare.

    Comparing, deleting and sorting once more would take 1.4 CPU seconds of a million headlines.
    """
    _refuse_lookahead(past("examples_violations", scoped))
    fresh = past("examples_derived")
    tx.append("examples", fresh)
    return int(fresh.num_rows)


@contextmanager
def derived_examples(
    lake: Lake, parameters: Parameters, count_tokens: CountTokens | None = None
) -> Iterator[None]:
    """While open, `examples` reads as what the lake gives now; it may be open read-only."""
    derive_examples(lake, parameters, count_tokens)
    with lake.override("examples", by="fresh_examples"):
        yield


def derive_examples(
    lake: Lake, parameters: Parameters, count_tokens: CountTokens | None = None
) -> None:
    """Derive every example of the spec into the temporary table `fresh_examples`.

    Nothing is stored or checked: the look-ahead audit compares what other warehouses would give.
    """
    for _ in derived_batches(lake, parameters, count_tokens, batch=ALL_AT_ONCE):
        pass


def derived_batches(
    lake: Lake,
    parameters: Parameters,
    count_tokens: CountTokens | None = None,
    *,
    batch: int = BATCH_HEADLINES,
) -> Iterator[None]:
    """Derive the examples of one batch of sessions after the other, oldest first.

    At each step the temporary table `fresh_examples` holds those of one batch. Nothing is
    stored or checked.
    """
    _lay_out(lake.read, parameters)
    for _ in _batches(lake.read, parameters, count_tokens, FROM_THE_START, batch):
        yield


def _batches(
    run: ReadSql,
    parameters: Parameters,
    count_tokens: CountTokens | None,
    since: date,
    rows: int,
) -> Iterator[Parameters]:
    """Derive batch by batch from session `since` on; gives the parameters of each."""
    since_then = {**parameters, "from_session": since, "batch_rows": rows}
    batches = run("examples_batches", since_then).to_pylist()
    whole = {"whole": since == FROM_THE_START, "from_ts": batches[0]["from_ts"]}
    run("examples_repeats", {**since_then, **whole})
    run("examples_placed", {**since_then, **whole})
    run("features_known" if parameters["uses_features"] else "features_none", since_then)
    for bounds in batches:
        scoped = {**since_then, **bounds}
        for name in _PER_BATCH:
            run(name, scoped)
        if parameters["uses_features"]:
            run("features_joined", scoped)
        run("examples_fresh", scoped)
        if parameters["max_tokens"] is not None:
            _fit_budget(run, scoped, count_tokens)
        yield scoped


def _scope(run: ReadSql, parameters: Parameters, mark: Mapping[str, int | None]) -> date | None:
    """The first session to look at again, or None if nothing relevant has changed."""
    followed, last = mark["followed"], mark["snapshot_id"]
    if followed is None:
        return FROM_THE_START
    span = {**parameters, "first_snapshot": followed + 1, "last_snapshot": last}
    changed = set(run("examples_tables_changed", span)["table_name"].to_pylist())
    statements = {name: None for table, name in _CHANGES.items() if table in changed}
    found = [run(name, span)["changed_since"][0].as_py() for name in statements]
    touched = [moment for moment in found if moment is not None]
    if not touched:
        return None
    scoped = {**parameters, "changed_since": min(touched)}
    since: date | None = run("examples_scope", scoped)["from_session"][0].as_py()
    return since


def _fit_budget(run: ReadSql, parameters: Parameters, count_tokens: CountTokens | None) -> None:
    """Drop one more headline from each prompt over budget, oldest first, until all fit."""
    budget = parameters["max_tokens"]
    if count_tokens is None:
        raise TokenBudgetError(
            f"The spec has a budget of {budget} tokens but no counter was passed; "
            "pass count_tokens for the tokenizer the spec names."
        )
    for max_shown in range(parameters["max_headlines"] - 1, -2, -1):
        rendered = run("examples_inputs")
        counts = count_tokens(rendered["input"].combine_chunks())
        over = rendered.filter(pc.greater(counts, budget)).drop_columns(["input"])
        if not over.num_rows:
            return
        if max_shown < 0:
            row = over.slice(0, 1).to_pylist()[0]
            raise TokenBudgetError(
                f"{over.num_rows} prompts exceed {budget} tokens without any "
                f"headline, the first for {row['ticker']}. Shorten the template or raise the "
                "budget; the question is never cut."
            )
        run("examples_limit", {"max_shown": max_shown}, over_budget=over)
        run("examples_fresh", parameters)


def _refuse_unknown(lacking: pa.Table) -> None:
    if lacking.num_rows:
        names = ", ".join(f"{row['feature_set']}.{row['name']}" for row in lacking.to_pylist())
        raise UnknownFeatureError(
            f"The warehouse holds no row of {names}, which dataset.features wants. Import it with "
            f"`newsvane import features {lacking['feature_set'][0].as_py()}`, or correct the name; "
            "nothing was built."
        )


def _refuse_lookahead(violations: pa.Table) -> None:
    if not violations.num_rows:
        return
    broken = "; ".join(
        f"{row['rule']} fails in {row['violations']} rows, first {row['first_example']}"
        for row in violations.to_pylist()
    )
    raise LookaheadError(
        f"The decision clock refused the examples: {broken}. Expected no violation. "
        "Nothing was published; check the sessions' hours and the available_at of headlines and "
        "own columns."
    )


def _logic() -> str:
    names = (*_ONCE, *_PER_BATCH, *_FEATURES, "examples_fresh")
    texts = [sql.statement(name).text for name in names]
    text = "\n".join([*texts, sql.macros(), *sql.views()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
