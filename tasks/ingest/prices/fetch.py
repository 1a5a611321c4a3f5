"""Daily bars and corporate actions, from one vendor or from several in their order.

One request per ticker, range and vendor. Every answer is landed before it is parsed. What Yahoo's
client makes of one is compared with the landed bytes: a bar that yfinance altered, merged or
dropped never passes for the vendor's. Its options that change numbers are off (auto_adjust,
back_adjust, repair, rounding) and keepna is on, so empty bars reach the row rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.prices.coverage import without_sessions
from tasks.ingest.prices.precedence import fetch_in_order
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.surroundings import NOTHING_KNOWN, Surroundings
from tasks.ingest.prices.vendor import PriceVendor
from tasks.ingest.prices.vendor_batch import VendorFetch
from tasks.ingest.prices.yahoo_vendor import YahooVendor
from warehouse.tables.batches import Clock, Land, PriceBatch

if TYPE_CHECKING:
    from tasks.ingest.prices.yahoo_transport import YahooSession


class PriceSourceError(ValueError):
    """The request for prices makes no sense as it stands; nothing was requested."""


def fetch_prices(
    tickers: Sequence[str],
    start: date,
    end: date,
    spec: PriceSpec,
    *,
    session: YahooSession,
    clock: Clock,
    land: Land,
    calendar: pa.Table,
    first_known: Mapping[str, date] | None = None,
    surroundings: Surroundings = NOTHING_KNOWN,
    others: Mapping[str, PriceVendor] | None = None,
    ended: Mapping[str, date] | None = None,
) -> PriceBatch:
    """Bars and actions of `tickers` for the exchange dates start..end, both inclusive.

    `calendar` holds session and close_ts (UTC) of the exchange's sessions and should reach
    `overlap_sessions` before `start`; bars from there on are returned. A ticker without a usable
    bar is requested again (`passes` times in all) and then listed in `missing`; the others go on.
    The ledger rows tell which sessions the calendar has between listing and last trade, and which
    of them did not come; `first_known` has the first session on record of each ticker. `ended` has
    the first day without membership of tickers that left a dated universe: that a vendor no longer
    knows one of them is no failure, and after its last bar nothing is expected of it. Bars and
    actions are judged beside what `surroundings` has on record. Without a session in the range
    nothing is requested: it is empty. `session` asks Yahoo; `others` are the other vendors of
    `spec` by their sources, which remember from call to call that a limit is reached. What several
    give is joined as `fetch_in_order` says. Raises PriceSourceError for a request that makes no
    sense, and whatever `land` raises.
    """
    _require_request(tickers, start, end, calendar)
    if not _sessions_between(start, end, calendar):
        rows = without_sessions(tickers, start, end, spec.first_source)
        return PriceBatch(requested=tuple(tickers), partitions=rows)
    fetch = VendorFetch(spec, clock, land, calendar, first_known or {}, surroundings, ended or {})
    vendors = _vendors(spec, session, others or {}, clock)
    return fetch_in_order(vendors, tickers, (start, end), fetch)


def _vendors(
    spec: PriceSpec, session: YahooSession, others: Mapping[str, PriceVendor], clock: Clock
) -> tuple[PriceVendor, ...]:
    """The vendors of `spec` by precedence. Raises PriceSourceError for one that is not there."""
    vendors: list[PriceVendor] = []
    for one in spec.in_order:
        if one.kind == "yahoo":
            vendors.append(YahooVendor(one, spec, session, clock))
        elif one.name in others:
            vendors.append(others[one.name])
        else:
            raise PriceSourceError(
                f"The vendor {one.name} was not passed; expected it in `others`, by its source. "
                f"There are: {', '.join(sorted(others)) or 'none'}."
            )
    return tuple(vendors)


def _require_request(tickers: Sequence[str], start: date, end: date, calendar: pa.Table) -> None:
    if not tickers or len(set(tickers)) != len(tickers):
        raise PriceSourceError(
            f"Expected at least one ticker and each once, got {list(tickers)}; correct the list."
        )
    if start > end:
        raise PriceSourceError(f"start {start} is after end {end}; swap them.")
    span = pc.min_max(calendar["session"]).as_py()
    if span["min"] is None or end < span["min"] or start > span["max"]:
        raise PriceSourceError(
            f"The calendar has no session from {start} to {end}: it holds {span['min']} to "
            f"{span['max']}. Build the calendar further, or ask for days it holds."
        )


def _sessions_between(start: date, end: date, calendar: pa.Table) -> bool:
    sessions = calendar["session"]
    within = pc.and_(pc.greater_equal(sessions, start), pc.less_equal(sessions, end))
    return bool(pc.any(within).as_py())
