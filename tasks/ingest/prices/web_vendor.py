"""A vendor of daily bars behind one web address: asked, landed without its key, read, bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.http.retry import FetchError
from tasks.ingest.prices.alpha_vantage import ALPHA_VANTAGE
from tasks.ingest.prices.coverage import UNKNOWN_SPAN, TradingSpan
from tasks.ingest.prices.dialect import Dialect
from tasks.ingest.prices.spec import Basis, VendorSpec
from tasks.ingest.prices.stooq import STOOQ
from tasks.ingest.prices.tiingo import TIINGO
from tasks.ingest.prices.validation import CANDIDATES
from tasks.ingest.prices.vendor import VendorLimitError, VendorReading, fetch_date
from warehouse.lake.scratch import Scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import Clock

_DIALECTS = {"stooq": STOOQ, "tiingo": TIINGO, "alpha_vantage": ALPHA_VANTAGE}
_TOO_MANY = 429


class Fetches(Protocol):
    """Gives the answer at an address: a FeedClient, or what stands in its place."""

    def fetch(
        self,
        url: str,
        *,
        source: str,
        clock: Clock,
        shown: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Payload: ...


class WebVendor:
    """A PriceVendor that speaks a Dialect over a bounded client. `zone`: the exchange's.

    Once the vendor says that its limit is reached it is not asked any more: each further ticker
    fails with the same words.
    """

    def __init__(
        self, vendor: VendorSpec, dialect: Dialect, zone: str, client: Fetches, clock: Clock
    ) -> None:
        self._vendor = vendor
        self._dialect = dialect
        self._zone = zone
        self._client = client
        self._clock = clock
        self._limit: str | None = None

    @property
    def source(self) -> str:
        """As in the warehouse."""
        return self._vendor.name

    @property
    def basis(self) -> Basis:
        """As configured, else as the vendor documents it."""
        return self._vendor.basis or self._dialect.basis

    @property
    def tells_actions(self) -> bool:
        """Whether the dialect holds actions."""
        return self._dialect.tells_actions

    def symbol(self, ticker: str) -> str:
        """As declared, else by the vendor's rule."""
        return self._vendor.symbols.get(ticker) or self._dialect.symbol(ticker)

    def span(self, payload: Payload, ticker: str) -> TradingSpan:
        """None of these vendors tells when a ticker traded beside its bars."""
        return UNKNOWN_SPAN

    def read(
        self,
        ticker: str,
        first: date,
        last: date,
        engine: Scratch,
        land: Callable[[Payload], None],
    ) -> VendorReading:
        """One request; of the answer the bars and actions from `first` to `last` count.

        Raises FetchError, AnswerError and VendorLimitError.
        """
        if self._limit is not None:
            raise VendorLimitError(self._limit)
        today = self._clock().astimezone(ZoneInfo(self._zone)).date()
        address = self._dialect.address(self.symbol(ticker), first, last, today)
        sent, headers = self._with_key(address)
        try:
            payload = self._client.fetch(
                sent, source=self.source, clock=self._clock, shown=address, headers=headers
            )
            land(payload)
            bars, events = self._dialect.parse(payload.body)
        except (FetchError, VendorLimitError) as error:
            if isinstance(error, VendorLimitError) or error.status == _TOO_MANY:
                self._limit = str(error)
            raise
        candidates = self._candidates(ticker, _within(bars, "session", first, last), payload)
        return VendorReading(payload, candidates, _within(events, "ex_date", first, last))

    def _with_key(self, address: str) -> tuple[str, dict[str, str]]:
        """What is sent: the address, and headers; the key stays a reference until then."""
        key, dialect = self._vendor.key, self._dialect
        if key is None:
            return address, {}
        if dialect.key_header is not None:
            name, form = dialect.key_header
            return address, {name: form.format(key=key)}
        return f"{address}&{dialect.key_parameter}={key}", {}

    def _candidates(self, ticker: str, bars: pa.Table, payload: Payload) -> pa.Table:
        fetched_on = pa.scalar(fetch_date(payload, self._zone), pa.date32())
        size = bars.num_rows
        return pa.table(
            {
                "ticker": pa.repeat(ticker, size),
                **{name: bars[name] for name in bars.column_names},
                "basis_date": pa.repeat(fetched_on, size)
                if self.basis == "fetch"
                else bars["session"],
                "payload_id": pa.repeat(payload.payload_id, size),
                "agrees": pa.repeat(True, size),
            },
            schema=CANDIDATES,
        )


def web_vendor(vendor: VendorSpec, zone: str, client: Fetches, clock: Clock) -> WebVendor:
    """The vendor that `vendor` (of another kind than Yahoo) stands for."""
    return WebVendor(vendor, _DIALECTS[vendor.kind], zone, client, clock)


def host_of(vendor: VendorSpec) -> str:
    """The host that is asked for a vendor's bars."""
    if vendor.kind == "yahoo":
        return "query2.finance.yahoo.com"
    day = date(2000, 1, 3)
    return urlsplit(_DIALECTS[vendor.kind].address("IBM", day, day, day)).hostname or ""


def _within(rows: pa.Table, column: str, first: date, last: date) -> pa.Table:
    """The rows of the days asked for; one without a day is for the row rules."""
    days = rows[column]
    inside = pc.and_(pc.greater_equal(days, first), pc.less_equal(days, last))
    return rows.filter(pc.fill_null(inside, True))
