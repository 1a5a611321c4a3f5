"""Markets the sandbox vendor quotes: five real histories or any number of made-up ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pyarrow as pa

from sandbox.history import (
    ACTIONS_SCHEMA,
    History,
    Listing,
    bokeh_history,
    bokeh_listings,
    exchange_midnight,
    made_up_listing,
    opening_instants,
    random_walk,
)


class MarketError(ValueError):
    """A request for what the market does not list; the message says what it has."""


@dataclass(frozen=True)
class Market:
    """A set of listings whose histories are made or read on first use, one ticker at a time."""

    name: str
    listings: tuple[Listing, ...]
    load: Callable[[Listing], History] = field(repr=False, compare=False)

    @property
    def tickers(self) -> tuple[str, ...]:
        """Symbols in listing order."""
        return tuple(listing.ticker for listing in self.listings)

    def history(self, ticker: str) -> History:
        """Bars and actions of `ticker`. Raises MarketError for a symbol that is not listed."""
        listing = self._by_ticker.get(ticker)
        if listing is None:
            raise MarketError(
                f"The {self.name} market does not list {ticker!r}; it has {len(self.listings)} "
                f"tickers, such as {', '.join(self.tickers[:5])}."
            )
        return self.load(listing)

    def trades(self, ticker: str, now: int) -> bool:
        """Whether `ticker` is in use at `now` (Unix seconds): already listed, not yet renamed.

        That its bars have ended is another matter: a vendor may know it nevertheless.
        """
        listing = self._by_ticker.get(ticker)
        if listing is None:
            return False
        start, end = listing.trading_window
        return start <= now < end and self.load(listing).opens_at[0] <= now

    def remembered(self, ticker: str, now: int) -> bool:
        """Whether Yahoo still knows a symbol at `now`; it drops some that are delisted."""
        listing = self._by_ticker.get(ticker)
        if listing is None or not self.trades(ticker, now):
            return False
        return listing.forgotten is None or now < exchange_midnight(listing.forgotten)

    def known(self, ticker: str, start: int, end: int) -> bool:
        """Whether `ticker` was in use at some time in [start, end), in Unix seconds."""
        listing = self._by_ticker.get(ticker)
        if listing is None:
            return False
        first, until = listing.trading_window
        return first < end and start < until and self.load(listing).opens_at[0] < end

    @functools.cached_property
    def _by_ticker(self) -> dict[str, Listing]:
        return {listing.ticker: listing for listing in self.listings}

    def renamed(self, old: str, new: str, name: str, on: date) -> Market:
        """This market with `old` trading as `new`, called `name`, from exchange date `on`.

        From then on `new` answers with the whole history and `old` is unknown, as at Yahoo.
        Raises MarketError if `old` is not listed.
        """
        before = self.history(old).listing
        after = Listing(new, name, since=on)
        listings = [replace(item, until=on) if item == before else item for item in self.listings]

        def load(listing: Listing) -> History:
            if listing.ticker not in (old, new):
                return self.load(listing)
            return replace(self.load(before), listing=listing)

        return Market(self.name, (*listings, after), load)

    @property
    def bars(self) -> pa.Table:
        """All bars, one row per ticker and session, in BARS_SCHEMA."""
        return pa.concat_tables([self.history(ticker).bars() for ticker in self.tickers])

    @property
    def actions(self) -> pa.Table:
        """All splits and dividends, one row per ticker, ex-date and kind, in ACTIONS_SCHEMA."""
        rows = [
            {"ticker": ticker, "ex_date": act.ex_date, "kind": act.kind, "value": act.value}
            for ticker in self.tickers
            for act in self.history(ticker).actions
        ]
        return pa.Table.from_pylist(rows, schema=ACTIONS_SCHEMA)


def bokeh_market() -> Market:
    """The public-domain daily bars of bokeh-sampledata: AAPL, FB, GOOG, IBM, MSFT, 2000-2013.

    Doubles are exactly those of the file. Splits are the historical ones of the period. The file
    has no dividends: they are derived from steps of its Adj Close (`history.derived_dividends`).
    """
    return Market("bokeh", bokeh_listings(), bokeh_history)


def synthetic_market(tickers: int | Sequence[str], start: date, end: date, seed: int = 7) -> Market:
    """Made-up shares on the New York calendar from `start` to `end`, both inclusive.

    `tickers` is how many, or their symbols.

    Each is a geometric random walk of its own, a function of (seed, ticker, start): a later end
    appends bars and changes none. There are splits and, for half of the shares, quarterly
    dividends. Raises MarketError for an empty market.
    """
    listings = (
        tuple(made_up_listing(number) for number in range(tickers))
        if isinstance(tickers, int)
        else tuple(Listing(ticker, ticker) for ticker in tickers)
    )
    if not listings or start > end:
        raise MarketError(
            f"A market needs at least one ticker and start <= end; got tickers={tickers}, "
            f"start={start}, end={end}."
        )

    @functools.cache
    def calendar() -> tuple[np.ndarray, np.ndarray]:
        sessions = new_york_sessions(start, end)
        return sessions, opening_instants(sessions)

    @functools.cache
    def load(listing: Listing) -> History:
        sessions, opens_at = calendar()
        return random_walk(listing, sessions, opens_at, seed)

    return Market("synthetic", listings, load)


def new_york_sessions(start: date, end: date) -> np.ndarray:
    """Session dates of the New York Stock Exchange in [start, end] as datetime64[D]."""
    import exchange_calendars  # a second to import: only made-up markets need it

    calendar = exchange_calendars.get_calendar("XNYS", start=str(start), end=str(end))
    return np.asarray(calendar.sessions.values.astype("datetime64[D]"))
