"""Filings as observations: whose they are, which of an answer are events, and when they came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.feeds import EdgarSpec, FeedSpec
from tasks.ingest.headlines.filings import (
    GUID,
    Company,
    accepted,
    current_filings,
    event_summary,
    event_title,
    exhibit_line,
    header_acceptance,
    read_submissions,
)
from tasks.ingest.headlines.listings import LISTED_SINCE, listed
from tasks.ingest.headlines.parsing import FeedItem, FeedParseError, parse_feed
from tasks.ingest.headlines.requests import FeedRequest
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload

DateRange = tuple[date, date]
SUBMISSIONS = re.compile(r"/submissions/CIK(\d{10})(?:-submissions-\d+)?\.json$")
_HEADER_PAGE = re.compile(r"/(\d{10}-\d{2}-\d{6})-index-headers\.html$")
_DOCUMENT = re.compile(r"/(\d{10})(\d{2})(\d{6})/[^/]+$")


@dataclass(frozen=True, slots=True)
class Filer:
    """Who files for a ticker, and from which day to which what he files is about it."""

    ticker: str
    cik: int
    first: date
    last: date


def filers_of(tickers: Sequence[str], aliases: pa.Table, spec: EdgarSpec) -> dict[str, Filer]:
    """The filer of each ticker, as far as one is known.

    The number is that of the configuration, else of the SEC's list, else of the ticker that the
    `aliases` (identity.ALIASES) say the former symbol has become. They say on which days it was a
    symbol, too.
    """
    numbers = dict(zip(listed()["ticker"].to_pylist(), listed()["cik"].to_pylist(), strict=True))
    numbers |= spec.ciks
    wanted = aliases.filter(pc.is_in(aliases["alias"], pa.array(tickers, pa.string())))
    found: dict[str, Filer] = {}
    for ticker in tickers:
        named = [row for row in wanted.to_pylist() if row["alias"] == ticker]
        own = [row for row in named if row["ticker"] == ticker and "symbol" in row["kind"]]
        later = [row["ticker"] for row in named if row["kind"] == "former_symbol"]
        cik = next((numbers[one] for one in (ticker, *later) if one in numbers), None)
        if cik is not None:
            first = min((row["valid_from"] for row in own), default=LISTED_SINCE)
            last = max((row["valid_to"] or date.max for row in own), default=date.max)
            found[ticker] = Filer(ticker, cik, first, last)
    return found


@dataclass(slots=True)
class FilingReader:
    """Reads answers into a batch; what headers and documents say of a filing comes beforehand."""

    feed: FeedSpec
    builder: BatchBuilder
    headers: dict[str, datetime] = field(default_factory=dict)
    exhibits: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)

    def events(self, filer: Filer, filings: pa.Table, days: DateRange) -> list[dict[str, Any]]:
        """The rows of FILINGS that are events about the filer's ticker, filed in the days."""
        first, last = max(days[0], filer.first), min(days[1], filer.last)
        form = pc.replace_substring_regex(filings["form"], "/A$", "")
        wanted = pc.is_in(form, pa.array(spec_of(self.feed).forms))
        dated = pc.and_(
            pc.greater_equal(filings["filed"], first), pc.less_equal(filings["filed"], last)
        )
        rows: list[dict[str, Any]] = filings.filter(
            pc.and_(wanted, pc.fill_null(dated, True))
        ).to_pylist()
        return rows

    def readings(self, filings: pa.Table, fetched_at: datetime) -> dict[str, dict[str, Any]]:
        """When each filing of an answer was accepted, by what is known so far."""
        with scratch() as engine:
            return accepted(filings, self.headers, fetched_at + self.feed.clock_skew, engine)

    def add_page(
        self, filer: Filer, company: Company, filings: pa.Table, payload: Payload, days: DateRange
    ) -> tuple[int, int]:
        """Note the events of one file of submissions; returns how many, and how many kept."""
        rows = self.events(filer, filings, days)
        readings = self.readings(filings, payload.fetched_at)
        items: list[FeedItem] = []
        held: list[datetime] = []
        for row in rows:
            found = readings[row["accession"]]
            if row["filed"] is None or found["accepted_at"] is None:
                self._refuse(filer, row, "filing date or acceptance not understood", payload)
            elif row["accession"] not in self.waiting:
                item = self._item(company, row, found)
                if reason := self.builder.validation_error(item, payload.fetched_at):
                    self._refuse(filer, row, reason, payload)
                else:
                    items.append(item)
                    held.append(found["opened_at"])
        self.builder.observe(
            items,
            [filer.ticker] * len(items),
            payload,
            held_until=held,
            synthetic=company.synthetic,
        )
        return len(rows), len(items)

    def _item(self, company: Company, row: Mapping[str, Any], found: Mapping[str, Any]) -> FeedItem:
        accession, numbers = row["accession"], [one for one in row["items"].split(",") if one]
        name = company.name_on(row["filed"])
        return FeedItem(
            title=event_title(name, row["form"], numbers, row["period"]),
            summary=event_summary(row, found["reading"], self.exhibits.get(accession)),
            url=f"{folder_of(self.feed, company.cik, accession)}/{accession}-index.htm",
            guid=GUID + accession,
            published_at=found["accepted_at"],
        )

    def _refuse(self, filer: Filer, row: Mapping[str, Any], reason: str, payload: Payload) -> None:
        record = {name: str(row[name]) for name in ("accession", "form", "filed", "stamp", "items")}
        self.builder.reject("headline", filer.ticker, reason, record, payload.payload_id)

    def add_current(self, request: FeedRequest, payload: Payload, filers: Sequence[Filer]) -> None:
        """Note the events among the latest filings, under the ticker of whoever filed each."""
        builder = self.builder
        builder.payloads.append(payload)
        try:
            parsed = parse_feed(payload.body, dict(payload.headers).get("content-type", ""))
        except FeedParseError as error:
            record = {"url": request.url}
            builder.reject("payload", request.key, str(error), record, payload.payload_id)
            builder.fail(request, f"{request.url}: {error}", payload.payload_id)
            return
        events, refused = current_filings(parsed.items, spec_of(self.feed).forms)
        for one in (*parsed.refused, *refused):
            builder.reject("headline", request.key, one.reason, one.record, payload.payload_id)
        found: list[tuple[FeedItem, str | None]] = []
        for item, cik in events:
            day = item.published_at.date()
            about: list[str | None] = [
                one.ticker for one in filers if one.cik == cik and one.first <= day <= one.last
            ]
            found += [(item, ticker) for ticker in about or [None]]
        builder.observe(
            [item for item, _ in found],
            [ticker for _, ticker in found],
            payload,
            synthetic=b'term="synthetic"' in payload.body,
        )
        builder.outcome(request, parsed, len(events), payload.payload_id)


def note_detail(
    answer: Payload,
    headers: dict[str, datetime],
    exhibits: dict[str, str],
    companies: dict[int, Company],
) -> None:
    """Note what a landed answer tells about others: a header, a document, who a company is."""
    if match := _HEADER_PAGE.search(answer.url):
        if wall := header_acceptance(answer.body):
            headers[match[1]] = wall
    elif match := _DOCUMENT.search(answer.url):
        if line := exhibit_line(answer.body):
            exhibits["-".join(match.groups())] = line
    elif match := SUBMISSIONS.search(answer.url):
        try:
            company = read_submissions(answer.body, int(match[1]))[0]
        except FeedParseError:
            return  # quarantined when it came
        if company is not None:
            companies[company.cik] = company


def folder_of(feed: FeedSpec, cik: int, accession: str) -> str:
    """The address of a filing's folder, without a slash at its end."""
    return f"{spec_of(feed).archives}/{cik}/{accession.replace('-', '')}"


def spec_of(feed: FeedSpec) -> EdgarSpec:
    """The feed's own part about EDGAR, which every feed that comes here has."""
    assert feed.edgar is not None
    return feed.edgar
