"""How one vendor on the web is asked for daily bars, and how its answers read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from tasks.ingest.prices.spec import Basis


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor's dialect.

    `basis` is the share basis it quotes by its documentation. `address(symbol, first, last, today)`
    is where the exchange dates first..last are asked for, without a key; that goes, at sending
    only, into the header `key_header` (name and a format with `{key}`) or the query parameter
    `key_parameter`. `parse(body)` gives ANSWER_BARS, ascending by session, and ANSWER_ACTIONS; it
    raises AnswerError for another shape and VendorLimitError for a page that speaks of limits.
    """

    basis: Basis
    tells_actions: bool
    symbol: Callable[[str], str]
    address: Callable[[str, date, date, date], str]
    parse: Callable[[bytes], tuple[pa.Table, pa.Table]]
    key_header: tuple[str, str] | None = None
    key_parameter: str | None = None
