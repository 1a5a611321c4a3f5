"""Symbols of shares and indices: what a ticker given by hand must look like."""

from __future__ import annotations

import re
from collections.abc import Iterable

SYMBOL = re.compile(r"\^?[A-Z0-9][A-Z0-9.&=-]{0,14}")
"""As the SQL macro `is_symbol` has it."""


class SymbolError(ValueError):
    """A ticker that no exchange could have listed."""


def require_symbols(tickers: Iterable[str]) -> tuple[str, ...]:
    """The tickers, each of which must be a symbol. Raises SymbolError, with a hint where it can."""
    found = tuple(tickers)
    for ticker in found:
        if SYMBOL.fullmatch(ticker):
            continue
        hint = f"did you mean {ticker.upper()}?" if SYMBOL.fullmatch(ticker.upper()) else (
            "expected up to 15 capital letters, digits and . & = -, such as BRK-B, M&M.NS or ^GSPC."
        )  # fmt: skip
        raise SymbolError(f"The ticker {ticker[:40]!r} is not a symbol; {hint}")
    return found
