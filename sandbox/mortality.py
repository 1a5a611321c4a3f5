"""Deaths in a market: names that decline, then are delisted, forgotten by a vendor, or renamed."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import get_args

import numpy as np

from sandbox.history import History, Listing
from sandbox.market import Market, MarketError
from sandbox.spec import Death, Manner

DAILY_LOSS = 0.06
"""What a dying name loses from open to close on each session of its decline, on top of its move."""
_MANNERS: tuple[Manner, ...] = get_args(Manner)
_FORGOTTEN_AFTER = timedelta(days=7)


def drawn_deaths(
    tickers: Sequence[str], share: float, first: date, last: date, seed: int = 7
) -> tuple[Death, ...]:
    """`share` of the tickers (rounded down) die on days between two dates, in turn in each manner.

    Who and when is a function of (seed, ticker). A renamed ticker goes on with a Q behind it.
    """
    drawn = sorted(tickers, key=lambda ticker: _number(seed, ticker, "who"))
    days = (last - first).days + 1
    deaths = []
    for at, ticker in enumerate(drawn[: int(share * len(tickers) + 1e-9)]):
        manner = _MANNERS[at % len(_MANNERS)]
        deaths.append(
            Death(
                ticker=ticker,
                on=first + timedelta(days=_number(seed, ticker, "when") % days),
                manner=manner,
                successor=f"{ticker}Q" if manner == "renamed" else None,
            )
        )
    return tuple(deaths)


def with_deaths(market: Market, deaths: Sequence[Death]) -> Market:
    """The market in which these names die. Raises MarketError for one that it does not list."""
    dying = {death.ticker: death for death in deaths}
    for ticker in dying:
        market.history(ticker)
    if len(dying) < len(deaths):
        raise MarketError(f"Each ticker dies once; got {[death.ticker for death in deaths]}.")
    listings: list[Listing] = []
    origins: dict[str, Listing] = {}
    for listing in market.listings:
        death = dying.get(listing.ticker)
        listings.append(listing if death is None else _ending(listing, death))
        origins[listing.ticker] = listing
        if death is not None and death.successor is not None:
            listings.append(Listing(death.successor, listing.name, since=death.on))
            origins[death.successor] = listing

    @functools.cache
    def load(listing: Listing) -> History:
        origin = origins[listing.ticker]
        death = dying.get(origin.ticker)
        if death is None:
            return market.load(origin)
        history = _declining(market.load(origin), death)
        if listing.ticker == death.ticker and death.manner != "renamed":
            history = _until(history, death.on)
        return replace(history, listing=listing)

    return Market(market.name, tuple(listings), load)


def _ending(listing: Listing, death: Death) -> Listing:
    if death.manner == "renamed":
        return replace(listing, until=death.on)
    forgotten = death.on + _FORGOTTEN_AFTER if death.manner == "forgotten" else None
    return replace(listing, ended=death.on, forgotten=forgotten)


def _declining(history: History, death: Death) -> History:
    """The history with the decline planted; what comes after stays as low as it left off."""
    end = int(np.searchsorted(history.sessions, np.datetime64(death.on)))
    days = np.clip(np.arange(len(history.sessions)) - end + death.decline + 1, 0, death.decline)
    closed = (1 - DAILY_LOSS) ** days
    opened = np.concatenate(([1.0], closed[:-1]))
    open_, close = _lowered(history.open, opened), _lowered(history.close, closed)
    return replace(
        history,
        open=open_,
        close=close,
        high=np.maximum(_lowered(history.high, opened), np.maximum(open_, close)),
        low=np.minimum(_lowered(history.low, closed), np.minimum(open_, close)),
        adj_close=history.adj_close * (close / history.close),
    )


def _until(history: History, end: date) -> History:
    """The sessions before a day, and what happened on them."""
    rows = slice(0, int(np.searchsorted(history.sessions, np.datetime64(end))))
    names = ("sessions", "opens_at", "open", "high", "low", "close", "adj_close", "volume")
    kept = {name: getattr(history, name)[rows] for name in names}
    actions = tuple(action for action in history.actions if action.ex_date < end)
    return replace(history, **kept, actions=actions)


def _lowered(prices: np.ndarray, share: np.ndarray) -> np.ndarray:
    """What is left of each price, to the cent; the others as they are."""
    return np.where(share < 1, np.maximum(np.round(prices * share, 2), 0.01), prices)


def _number(seed: int, ticker: str, what: str) -> int:
    text = f"{seed}/{ticker}/{what}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
