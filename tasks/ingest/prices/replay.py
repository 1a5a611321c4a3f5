"""Prices read again from the landing zone: today's parser and rules over answers of the past.

The same client reads the same bytes, validated as of the moment they were fetched; only the network
is left out. Of a bar in several answers the latest reading counts, so that publishing a replay
revises exactly what today's code reads differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa

from tasks.ingest.http.retry import PriceLimits, RequestBudget, RetryPolicy
from tasks.ingest.prices.reader import TickerPrices, TickerReader
from tasks.ingest.prices.spec import PriceSpec, VendorSpec
from tasks.ingest.prices.surroundings import Surroundings
from tasks.ingest.prices.web_vendor import web_vendor
from tasks.ingest.prices.yahoo_transport import CHART_PATH, Answer, LenientResponse, YahooSession
from tasks.ingest.prices.yahoo_vendor import YahooVendor
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, BARS, REJECTS, Clock, PriceBatch


def replay_prices(
    landed: pa.Table, load: Callable[[str], bytes], spec: PriceSpec, *, calendar: pa.Table
) -> PriceBatch:
    """Read landed chart answers again.

    `landed` has payload_id, url and fetched_at (UTC), oldest first (see `charts_landed`);
    `load` returns a body by payload_id and raises when it is gone. `calendar` is as for
    `fetch_prices`. The batch names no new payloads and no ledger rows: nothing was fetched.
    An answer that cannot be read is listed in `missing` under its ticker.
    """
    readings = [
        _read(row["url"], load(row["payload_id"]), row["fetched_at"], spec, calendar)
        for row in landed.to_pylist()
    ]
    return _joined(readings, spec)


def replay_answers(
    landed: pa.Table,
    load: Callable[[str], bytes],
    vendor: VendorSpec,
    spec: PriceSpec,
    *,
    calendar: pa.Table,
    splits: pa.Table,
) -> PriceBatch:
    """Read landed answers of a vendor besides Yahoo again, as `replay_prices` does.

    `landed` is as `answers_landed` gives it, `splits` (ACTIONS) are those on record. The batch
    holds all that the vendor gave; which of its bars count is for who publishes it to say.
    """
    known = Surroundings(told=splits)
    readings = []
    for row in landed.to_pylist():
        body, at = load(row["payload_id"]), row["fetched_at"]
        answer = _LandedAnswer(Payload(vendor.name, row["url"], 200, (), body, at))
        reader = TickerReader(
            row["first"],
            row["last"],
            web_vendor(vendor, spec.exchange_zone, answer, _standing_still(at)),
            spec.exchange_zone,
            spec.rules,
            land=lambda payload: payload.payload_id,
            calendar=calendar,
            surroundings=known,
        )
        with scratch() as engine:
            readings.append(reader.prices_of(row["ticker"], engine))
    return _joined(readings, spec)


def _standing_still(at: datetime) -> Clock:
    return lambda: at


def _joined(readings: Sequence[TickerPrices], spec: PriceSpec) -> PriceBatch:
    tickers = tuple(dict.fromkeys(reading.ticker for reading in readings))
    rejects = [reading.rejects for reading in readings]
    bars = _numbered([one.bars for one in readings], BARS)
    actions = _numbered([one.actions for one in readings], ACTIONS)
    with scratch() as engine:
        latest = engine.read("bars_latest", readings=bars)
        return PriceBatch(
            bars=latest,
            readings=latest if len(spec.vendors) > 1 else BARS.empty_table(),
            precedence=spec.precedence,
            actions=engine.read("actions_latest", readings=actions, bars=bars),
            rejects=pa.concat_tables([REJECTS.empty_table(), *rejects]),
            requested=tickers,
            missing=tuple((one.ticker, one.error) for one in readings if one.error),
        )


class _LandedAnswer:
    """Gives one landed payload to whatever is asked."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def fetch(
        self,
        url: str,
        *,
        source: str,
        clock: Clock,
        shown: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Payload:
        return self._payload


class _LandedSession(YahooSession):
    """Answers every chart request with one landed body, and everything else with 404."""

    def __init__(self, url: str, body: bytes) -> None:
        once = PriceLimits(retry=RetryPolicy(attempts=1))
        super().__init__(None, RequestBudget(once), lambda: datetime.now(UTC))
        self._url = url
        self._body = body

    def send_once(self, method: str, url: str, options: dict[str, Any]) -> LenientResponse:
        response = LenientResponse()
        response.url = url
        charted = urlsplit(url).path == urlsplit(self._url).path
        response.status_code = 200 if charted else 404
        response.content = self._body if charted else b""
        self.record(Answer(self._url if charted else url, response.status_code, (), self._body))
        return response


def _read(
    url: str, body: bytes, fetched_at: datetime, spec: PriceSpec, calendar: pa.Table
) -> TickerPrices:
    symbol = urlsplit(url).path.removeprefix(CHART_PATH)
    yahoo = spec.yahoo or VendorSpec(kind="yahoo")
    tickers = {renamed: ticker for ticker, renamed in yahoo.symbols.items()}
    first, end = _requested_range(url, ZoneInfo(spec.exchange_zone))
    with _LandedSession(url, body) as session:
        reader = TickerReader(
            first,
            end,
            YahooVendor(yahoo, spec, session, clock=lambda: fetched_at),
            spec.exchange_zone,
            spec.rules,
            land=lambda payload: payload.payload_id,
            calendar=calendar,
        )
        with scratch() as engine:
            return reader.prices_of(tickers.get(symbol, symbol), engine)


def _requested_range(url: str, zone: ZoneInfo) -> tuple[date, date]:
    """The local dates period1..period2 stand for; period2 is the midnight after the last."""
    query = parse_qs(urlsplit(url).query)
    first, after = (
        datetime.fromtimestamp(int(query[name][0]), UTC).astimezone(zone).date()
        for name in ("period1", "period2")
    )
    return first, after - timedelta(days=1)


def _numbered(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(
        [
            table.append_column("reading", pa.array([number] * table.num_rows, pa.int64()))
            for number, table in enumerate([schema.empty_table(), *tables])
        ]
    )
