"""Headlines from EDGAR: a company's filings of the days asked for, and the latest of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import pyarrow as pa

from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.filing_events import (
    SUBMISSIONS,
    DateRange,
    Filer,
    FilingReader,
    filers_of,
    folder_of,
    note_detail,
    spec_of,
)
from tasks.ingest.headlines.filings import Company, read_submissions
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.headlines.parsing import FeedParseError
from tasks.ingest.headlines.requests import GENERAL, FeedRequest
from tasks.ingest.http.client import FeedClient
from tasks.ingest.http.retry import FetchError
from tasks.ingest.unreadable import in_one_line
from warehouse.storage.landing import CachedPayload, Payload
from warehouse.tables.batches import PARTITIONS, Clock, HeadlineBatch, Land

_NOT_FOUND = 404


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
    reader = FilingReader(feed, BatchBuilder(feed))
    wire = _Wire(feed, client, clock, land, reader)
    known = load_aliases() if aliases is None else aliases
    if feed.mode == "poll":
        filers = filers_of(universe, known, spec_of(feed)).values()
        request = FeedRequest(GENERAL, feed.shown_url, start, end, feed.url)
        answer = wire.fetch(feed.url, cached(feed.shown_url) if cached else None)
        if isinstance(answer, Payload):
            reader.add_current(request, answer, list(filers))
        else:
            reader.builder.fail(request, str(answer))
        return reader.builder.batch()
    filers_by_ticker = filers_of(tickers, known, spec_of(feed))
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
        note_detail(answer, headers, exhibits, companies)
    filers = filers_of([*dict.fromkeys((*answered, *universe))], known, spec_of(feed))
    for answer in answers():
        reader = FilingReader(feed, BatchBuilder(feed), headers, exhibits)
        match = SUBMISSIONS.search(answer.url)
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


@dataclass(slots=True)
class _Wire:
    """Fetches and lands; each address once."""

    feed: FeedSpec
    client: FeedClient
    clock: Clock
    land: Land
    reader: FilingReader
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
            if named is not None and not table.num_rows and not named.pages:
                problems.append(f"{url} lists no filing at all; a listed company has some.")
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
        spec, reader = spec_of(self.feed), self.reader
        rows = reader.events(filer, filings, days)
        readings = reader.readings(filings, payload.fetched_at)
        wanted: dict[str, str] = {}
        for row in rows:
            accession = row["accession"]
            undecided = readings[accession]["reading"] == "later"
            folder = folder_of(self.feed, filer.cik, accession)
            if spec.headers == "all" or (spec.headers == "undecided" and undecided):
                wanted[f"{folder}/{accession}-index-headers.html"] = accession if undecided else ""
            if spec.documents and row["form"].startswith("8-K") and row["document"]:
                wanted[f"{folder}/{row['document']}"] = ""
        problems = []
        with ThreadPoolExecutor(max_workers=self.feed.concurrency) as pool:
            for url, answer in zip(wanted, pool.map(self.fetch, wanted), strict=True):
                if isinstance(answer, Payload):
                    reader.builder.payloads.append(answer)
                    note_detail(answer, reader.headers, reader.exhibits, {})
                elif answer.status != _NOT_FOUND:
                    problems.append(str(answer))
                    reader.waiting.add(wanted[url])
        return problems


def _filled(url: str, cik: int) -> str:
    return url.replace("{cik}", f"{cik:010d}")
