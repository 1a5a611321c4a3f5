"""Headlines from EDGAR: a company's filings of the days asked for, and the latest of all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.headlines.feeds import GENERAL, EdgarSpec, FeedRequest, FeedSpec
from tasks.ingest.headlines.fetch import BatchBuilder
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
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.headlines.listings import LISTED_SINCE, listed
from tasks.ingest.headlines.parsing import FeedItem, FeedParseError, parse_feed
from tasks.ingest.http.client import FeedClient
from tasks.ingest.http.retry import FetchError
from tasks.ingest.unreadable import in_one_line
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import CachedPayload, Payload
from warehouse.tables.batches import PARTITIONS, Clock, HeadlineBatch, Land

DateRange = tuple[date, date]
_SUBMISSIONS = re.compile(r"/submissions/CIK(\d{10})(?:-submissions-\d+)?\.json$")
_HEADER_PAGE = re.compile(r"/(\d{10}-\d{2}-\d{6})-index-headers\.html$")
_DOCUMENT = re.compile(r"/(\d{10})(\d{2})(\d{6})/[^/]+$")
_NOT_FOUND = 404


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


def fetch_filings(
    feed: FeedSpec,
    tickers: Sequence[str],
    start: date,
    end: date,
    *,
    client: FeedClient,
    clock: Clock,
    land: Land,
    universe: Sequence[str] = (),
    aliases: pa.Table | None = None,
    cached: CachedPayload | None = None,
) -> HeadlineBatch:
    """The filings of `tickers` with filing dates from `start` to `end`, both inclusive.

    For a poll: the latest of all companies, under those of `universe` that filed. Every answer is
    landed before it is parsed. A company whose submissions cannot be had or read is failed, the
    others go on; a range is partial when a file of older filings, or a header without which the
    acceptance is undecided, did not come, and such a filing waits for it. Filings whose time cannot
    be read become rejects.
    """
    reader = _Reader(feed, BatchBuilder(feed))
    wire = _Wire(feed, client, clock, land, reader)
    known = load_aliases() if aliases is None else aliases
    if feed.mode == "poll":
        filers = filers_of(universe, known, _spec(feed)).values()
        request = FeedRequest(GENERAL, feed.shown_url, start, end, feed.url)
        answer = wire.fetch(feed.url, cached(feed.shown_url) if cached else None)
        if isinstance(answer, Payload):
            reader.add_current(request, answer, list(filers))
        else:
            reader.builder.fail(request, str(answer))
        return reader.builder.batch()
    filers_by_ticker = filers_of(tickers, known, _spec(feed))
    for ticker in sorted(set(tickers)):
        filer = filers_by_ticker.get(ticker)
        request = FeedRequest(ticker, feed.shown_url, start, end)
        if filer is None:
            reader.builder.fail(
                request,
                f"{ticker} has no CIK in the SEC's list; give it as edgar.ciks of {feed.name}.",
            )
        else:
            wire.ask(replace(request, url=_filled(feed.shown_url, filer.cik)), filer)
    return reader.builder.batch()


def replay_filings(
    feed: FeedSpec,
    answers: Callable[[], Iterable[Payload]],
    answered: Mapping[str, Sequence[DateRange]],
    *,
    universe: Sequence[str] = (),
    aliases: pa.Table | None = None,
) -> Iterator[HeadlineBatch]:
    """Read landed answers of `feed` again with today's parser: a batch each, no ledger rows.

    `answers` yields them in the order of fetching and is called twice: a header that came last
    tells the acceptance in an answer that came first. Of submissions only what the ledger has
    `answered` is read, as inclusive filing dates by ticker.
    """
    known = load_aliases() if aliases is None else aliases
    headers: dict[str, datetime] = {}
    exhibits: dict[str, str] = {}
    companies: dict[int, Company] = {}
    for answer in answers():
        _note_detail(answer, headers, exhibits, companies)
    filers = filers_of([*dict.fromkeys((*answered, *universe))], known, _spec(feed))
    for answer in answers():
        reader = _Reader(feed, BatchBuilder(feed), headers, exhibits)
        match = _SUBMISSIONS.search(answer.url)
        if feed.mode == "poll":
            day = answer.fetched_at.date()
            request = FeedRequest(GENERAL, answer.url, day, day)
            reader.add_current(request, answer, list(filers.values()))
        elif match is not None and int(match[1]) in companies:
            reader.builder.payloads.append(answer)
            company = companies[int(match[1])]
            table = read_submissions(answer.body, company.cik)[1]
            for filer in filers.values():
                for days in answered.get(filer.ticker, ()) if filer.cik == company.cik else ():
                    reader.add_page(filer, company, table, answer, days)
        else:
            continue
        yield replace(reader.builder.batch(), partitions=PARTITIONS.empty_table())


def _note_detail(
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
    elif match := _SUBMISSIONS.search(answer.url):
        try:
            company = read_submissions(answer.body, int(match[1]))[0]
        except FeedParseError:
            return  # quarantined when it came
        if company is not None:
            companies[company.cik] = company


@dataclass(slots=True)
class _Reader:
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
        wanted = pc.is_in(form, pa.array(_spec(self.feed).forms))
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
            url=f"{_folder(self.feed, company.cik, accession)}/{accession}-index.htm",
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
        events, refused = current_filings(parsed.items, _spec(self.feed).forms)
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


@dataclass(slots=True)
class _Wire:
    """Fetches and lands; each address once."""

    feed: FeedSpec
    client: FeedClient
    clock: Clock
    land: Land
    reader: _Reader
    fetched: dict[str, Payload | FetchError] = field(default_factory=dict)

    def fetch(self, url: str, cached: Payload | None = None) -> Payload | FetchError:
        """The landed answer at an address, or why there is none."""
        if url not in self.fetched:
            try:
                answer: Payload | FetchError = self.client.fetch(
                    url, source=self.feed.name, clock=self.clock, cached=cached
                )
            except FetchError as error:
                answer = error
            except Exception as error:  # of the HTTP client, whose errors have no common kind
                answer = FetchError(f"{url} could not be fetched ({in_one_line(error)}).")
            if isinstance(answer, Payload):
                self.land(answer)
            self.fetched[url] = answer
        return self.fetched[url]

    def ask(self, request: FeedRequest, filer: Filer) -> None:
        """Fetch the submissions of a company and all that its filings of the range need."""
        builder, days = self.reader.builder, (request.range_start, request.range_end)
        pages: list[tuple[Payload, pa.Table]] = []
        company: Company | None = None
        problems: list[str] = []
        urls = [request.url]
        for url in urls:
            answer = self.fetch(url)
            if isinstance(answer, FetchError):
                problems.append(str(answer))
                continue
            if answer not in builder.payloads:
                builder.payloads.append(answer)
            try:
                named, table = read_submissions(answer.body, filer.cik)
            except FeedParseError as error:
                record = {"url": url}
                builder.reject("payload", request.key, str(error), record, answer.payload_id)
                problems.append(f"{url}: {error}")
                continue
            pages.append((answer, table))
            if named is not None:
                company = named
                older = (one for one in named.pages if one[1] <= days[1] and one[2] >= days[0])
                urls += [f"{url.rpartition('/')[0]}/{name}" for name, _, _ in older]
        if company is None:
            builder.fail(request, "; ".join(problems), pages[0][0].payload_id if pages else None)
            return
        received = kept = 0
        for payload, table in pages:
            problems += self._details(filer, table, payload, days)
            count, used = self.reader.add_page(filer, company, table, payload, days)
            received, kept = received + count, kept + used
        outcome = {"rows": kept, "received": received, "payload_id": pages[0][0].payload_id}
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            builder.note(request, "partial", error=problems[0] + more, **outcome)
        else:
            builder.note(request, "done" if received else "empty", **outcome)

    def _details(
        self, filer: Filer, filings: pa.Table, payload: Payload, days: DateRange
    ) -> list[str]:
        """Fetch the headers and documents that are wanted; returns what did not come."""
        spec, reader = _spec(self.feed), self.reader
        rows = reader.events(filer, filings, days)
        readings = reader.readings(filings, payload.fetched_at)
        wanted: dict[str, str] = {}
        for row in rows:
            accession = row["accession"]
            undecided = readings[accession]["reading"] == "later"
            folder = _folder(self.feed, filer.cik, accession)
            if spec.headers == "all" or (spec.headers == "undecided" and undecided):
                wanted[f"{folder}/{accession}-index-headers.html"] = accession if undecided else ""
            if spec.documents and row["form"].startswith("8-K") and row["document"]:
                wanted[f"{folder}/{row['document']}"] = ""
        problems = []
        with ThreadPoolExecutor(max_workers=self.feed.concurrency) as pool:
            for url, answer in zip(wanted, pool.map(self.fetch, wanted), strict=True):
                if isinstance(answer, Payload):
                    reader.builder.payloads.append(answer)
                    _note_detail(answer, reader.headers, reader.exhibits, {})
                elif answer.status != _NOT_FOUND:
                    problems.append(str(answer))
                    reader.waiting.add(wanted[url])
        return problems


def _folder(feed: FeedSpec, cik: int, accession: str) -> str:
    return f"{_spec(feed).archives}/{cik}/{accession.replace('-', '')}"


def _filled(url: str, cik: int) -> str:
    return url.replace("{cik}", f"{cik:010d}")


def _spec(feed: FeedSpec) -> EdgarSpec:
    assert feed.edgar is not None
    return feed.edgar
