"""Expectation suites, as data: what every batch must satisfy before it is published.

A suite is a list of rules; a rule is one great-expectations expectation, its arguments and the
same thing in words. Row rules live in the sources, which quarantine single rows with a reason;
a suite states what must hold for everything that is left, so here one bad row refuses the batch.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

TICKER = r"^\^?[A-Z0-9][A-Z0-9.&\-=]{0,14}$"
SHA256 = r"^[0-9a-f]{64}$"
CONTROL = r"[\x00-\x1f\x7f]"
PRICE_LIMIT = 10_000_000.0
"""Above any price ever quoted for a share, so it catches infinities and unit mistakes only."""


class Rule(BaseModel):
    """One expectation: its great-expectations class, arguments, and what it says in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    says: str
    arguments: dict[str, Any]


def _rule(kind: str, says: str, **arguments: Any) -> Rule:
    return Rule(kind=kind, says=says, arguments=arguments)


def _columns(*names: str) -> Rule:
    return _rule(
        "ExpectTableColumnsToMatchSet",
        f"the columns {', '.join(names)} are present",
        column_set=list(names),
        exact_match=False,
    )


def _filled(*columns: str) -> list[Rule]:
    return [
        _rule("ExpectColumnValuesToNotBeNull", f"{column} is filled", column=column)
        for column in columns
    ]


def _unique(*columns: str) -> Rule:
    if len(columns) == 1:
        return _rule("ExpectColumnValuesToBeUnique", f"{columns[0]} occurs once", column=columns[0])
    return _rule(
        "ExpectCompoundColumnsToBeUnique",
        f"the combination of {', '.join(columns)} occurs once",
        column_list=list(columns),
    )


def _between(column: str, low: float, high: float, *, above: bool = False) -> Rule:
    return _rule(
        "ExpectColumnValuesToBeBetween",
        f"{column} is finite, {'above' if above else 'at least'} {low:g} and at most {high:g}",
        column=column,
        min_value=low,
        max_value=high,
        strict_min=above,
    )


def _ordered(later: str, earlier: str, *, strictly: bool = False) -> Rule:
    return _rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        f"{later} is {'after' if strictly else 'never below'} {earlier}",
        column_A=later,
        column_B=earlier,
        or_equal=not strictly,
    )


def _one_of(column: str, *values: str) -> Rule:
    return _rule(
        "ExpectColumnValuesToBeInSet",
        f"{column} is {' or '.join(values)}",
        column=column,
        value_set=list(values),
    )


def _matches(column: str, regex: str, what: str) -> Rule:
    return _rule(
        "ExpectColumnValuesToMatchRegex", f"{column} is {what}", column=column, regex=regex
    )


def _printable(column: str) -> Rule:
    return _rule(
        "ExpectColumnValuesToNotMatchRegex",
        f"{column} holds no control character",
        column=column,
        regex=CONTROL,
    )


BARS = (
    _columns("ticker", "session", "open", "high", "low", "close", "volume", "basis_date"),
    *_filled("ticker", "session", "open", "high", "low", "close", "volume", "basis_date"),
    *_filled("source", "payload_id"),
    _unique("ticker", "session"),
    _matches("ticker", TICKER, "a ticker symbol"),
    *(_between(name, 0.0, PRICE_LIMIT, above=True) for name in ("open", "high", "low", "close")),
    _between("volume", 0, 1e13),
    *(_ordered("high", name) for name in ("low", "open", "close")),
    *(_ordered(name, "low") for name in ("open", "close")),
    _ordered("basis_date", "session"),
    _matches("payload_id", SHA256, "the sha256 of a landed payload"),
)

ACTIONS = (
    _columns("ticker", "ex_date", "kind", "value"),
    *_filled("ticker", "ex_date", "kind", "value", "basis_date", "source", "payload_id"),
    _unique("ticker", "ex_date", "kind"),
    _matches("ticker", TICKER, "a ticker symbol"),
    _one_of("kind", "split", "dividend"),
    _between("value", 0.0, 100_000.0, above=True),
    _matches("payload_id", SHA256, "the sha256 of a landed payload"),
)

HEADLINES = (
    _columns("headline_id", "source", "title", "published_at", "first_seen_at", "available_at"),
    *_filled("headline_id", "source", "title", "published_at", "first_seen_at", "available_at"),
    *_filled("granularity", "availability", "synthetic", "payload_id"),
    _unique("headline_id"),
    _matches("title", r"\S", "not blank"),
    _printable("title"),
    _one_of("granularity", "second", "minute", "day"),
    _one_of("availability", "observed", "asserted"),
    _ordered("available_at", "published_at"),
    _matches("payload_id", SHA256, "the sha256 of a landed payload"),
)

HEADLINE_TICKERS = (
    _columns("headline_id", "ticker", "method"),
    *_filled("headline_id", "ticker", "method"),
    _unique("headline_id", "ticker"),
    _matches("ticker", TICKER, "a ticker symbol"),
    _one_of("method", "feed", "declared", "cashtag", "alias"),
)

FEATURES = (
    _columns("feature_set", "ticker", "known_at", "name", "number", "text", "available_at"),
    *_filled("feature_set", "ticker", "known_at", "granularity", "name", "available_at"),
    *_filled("first_seen_at", "payload_id"),
    _unique("feature_set", "ticker", "known_at", "name"),
    _matches("ticker", rf"{TICKER}|^\*$", "a ticker symbol, or * for the whole market"),
    _matches("name", r"^[a-z][a-z0-9_]*$", "a name that a template can use"),
    _between("number", -1e300, 1e300),
    _one_of("granularity", "second", "minute", "day"),
    _ordered("available_at", "known_at"),
    _ordered("first_seen_at", "known_at"),
    _matches("payload_id", SHA256, "the sha256 of a landed payload"),
)

SUITES: dict[str, tuple[Rule, ...]] = {
    "bars": BARS,
    "actions": ACTIONS,
    "headlines": HEADLINES,
    "headline_tickers": HEADLINE_TICKERS,
    "features": FEATURES,
}
