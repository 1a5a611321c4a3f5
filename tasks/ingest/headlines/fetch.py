"""Headlines from feeds: fetched, landed, parsed, validated, identified."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from tasks.ingest.headlines.dates import EARLIEST
from tasks.ingest.headlines.feeds import (
    GENERAL,
    FeedRequest,
    FeedSpec,
    feed_requests,
    halves,
    request_of,
)
from tasks.ingest.headlines.identity import (
    OBSERVATIONS,
    identify_headlines,
    load_aliases,
    resolve_tickers,
)
from tasks.ingest.headlines.parsing import FeedItem, FeedParseError, ParsedFeed, parse_feed
from tasks.ingest.http.client import FeedClient
from tasks.ingest.http.redaction import know, redacted, without_known
from tasks.ingest.http.retry import FetchError, TransientError
from tasks.ingest.unreadable import in_one_line
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import CachedPayload, Payload
from warehouse.tables.batches import PARTITIONS, REJECTS, Clock, HeadlineBatch, Land

_REQUESTS_AT_ONCE = 64
MICROSECOND = timedelta(microseconds=1)


def fetch_headlines(
    feed: FeedSpec,
    tickers: Sequence[str],
    start: date,
    end: date,
    *,
    client: FeedClient,
    clock: Clock,
    land: Land,
    cached: CachedPayload | None = None,
    aliases: pa.Table | None = None,
    day_times: Sequence[time] = (),
) -> HeadlineBatch:
    """Everything `feed` has about `tickers` over the inclusive dates `start` to `end`.

    Each answer is landed before it is parsed. An address that cannot be fetched or read gets a
    failed row in the batch's `partitions` (and, if it answered, a rejected payload); the others
    go on. A document that ends early is used up to there and its range is partial; a search that
    meets the feed's cap is asked again in halves, down to single days, which are then partial.
    Items that cannot be used become rejects with their reason. A poll keeps all items
    it sees, whatever the range. With `cached`, requests are conditional, and one that has
    not changed counts as having answered the same again. What a general feed has is about those
    of `tickers` (all, if it is GENERAL) that its titles name by `aliases`, by default the shipped
    ones. `day_times`: the times of day (UTC) at which the source is known to put days. Raises
    ValueError when `start` is after `end`.
    """

    def fetch(request: FeedRequest) -> Payload | str:
        known = cached(request.url) if cached else None
        try:
            return client.fetch(
                request.address, shown=request.url, source=feed.name, clock=clock, cached=known
            )
        except TransientError as error:
            # What came of a body that always broke off is a document that ends early.
            return error.answer if isinstance(error.answer, Payload) else str(error)
        except FetchError as error:
            return str(error)
        except Exception as error:  # of the HTTP client, whose errors have no common kind
            return f"{request.url} could not be fetched ({in_one_line(error)})."

    builder = BatchBuilder(feed, day_times)
    requests = list(feed_requests(feed, tickers, start, end))
    with ThreadPoolExecutor(max_workers=feed.concurrency) as pool:
        while requests:
            # A bounded number at a time, so that few answers wait to be parsed.
            some, requests = requests[:_REQUESTS_AT_ONCE], requests[_REQUESTS_AT_ONCE:]
            finer: list[FeedRequest] = []
            for request, answer in zip(some, pool.map(fetch, some), strict=True):
                if isinstance(answer, Payload):
                    finer += builder.add(request, answer, land(answer))
                else:
                    builder.fail(request, answer)
            requests = [*finer, *requests]
    return builder.batch(tickers, aliases)


def replay_headlines(
    feed: FeedSpec,
    answers: Iterable[Payload],
    *,
    aliases: pa.Table | None = None,
    day_times: Sequence[time] = (),
) -> Iterator[HeadlineBatch]:
    """Read landed answers of `feed` again with today's parser, as if they arrived now as then.

    `answers` come in the order in which they were fetched. No address occurs twice in a batch, so
    that an edit meets its original when the batches are published in order. Answers from addresses
    that the feed no longer has are passed over. The batches hold no ledger rows: nothing was
    fetched.
    """
    builder = BatchBuilder(feed, day_times)
    for answer in answers:
        request = request_of(feed, answer.url, answer.fetched_at.date())
        if request is None:
            continue
        if any(answer.url == earlier.url for earlier in builder.payloads):
            yield replace(builder.batch((), aliases), partitions=PARTITIONS.empty_table())
            builder = BatchBuilder(feed, day_times)
        builder.add(request, answer, answer.payload_id)
    if builder.payloads:
        yield replace(builder.batch((), aliases), partitions=PARTITIONS.empty_table())


@dataclass(slots=True)
class BatchBuilder:
    """Builds a batch from the answers of one feed, in the order they are added."""

    feed: FeedSpec
    day_times: Sequence[time] = ()
    payloads: list[Payload] = field(default_factory=list)
    _observations: list[pa.Table] = field(default_factory=lambda: [OBSERVATIONS.empty_table()])
    _count: int = 0
    _rejects: list[dict[str, Any]] = field(default_factory=list)
    _partitions: dict[tuple[str, date, date], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        know(self.feed.url)

    def add(
        self, request: FeedRequest, payload: Payload, payload_id: str
    ) -> tuple[FeedRequest, ...]:
        """Parse one landed answer; what it holds, or why it holds nothing, is noted.

        Returns the requests that take its place, if its range holds more than one answer can.
        """
        self.payloads.append(payload)
        try:
            content_type = dict(payload.headers).get("content-type", "")
            zone = ZoneInfo(self.feed.zone) if self.feed.zone else None
            parsed = parse_feed(payload.body, content_type, zone)
        except FeedParseError as error:
            self.reject("payload", request.key, str(error), {"url": request.url}, payload_id)
            self.fail(request, f"{request.url}: {error}", payload_id)
            return ()
        usable = []
        for item in parsed.items:
            if reason := self.validation_error(item, payload.fetched_at):
                self.reject("headline", request.key, reason, _record(item), payload_id)
            else:
                usable.append(item)
        for refused in parsed.refused:
            self.reject("headline", request.key, refused.reason, refused.record, payload_id)
        tickers = [None if request.key == GENERAL else request.key] * len(usable)
        self.observe(usable, tickers, payload)
        return self.outcome(request, parsed, len(usable), payload_id)

    def outcome(
        self, request: FeedRequest, parsed: ParsedFeed, rows: int, payload_id: str
    ) -> tuple[FeedRequest, ...]:
        """Note whether an answer was whole, or return the requests that take its place."""
        items = len(parsed.items) + len(parsed.refused)
        cap, counted = self.feed.cap, {"rows": rows, "received": items, "payload_id": payload_id}
        if parsed.cut:
            error = f"the document ends early (whole items: {items})"
            self.note(request, "partial", error=error, **counted)
        elif cap is None or items < cap:
            self.note(request, "done" if items else "empty", **counted)
        elif finer := halves(self.feed, request):
            return finer
        elif self.feed.mode == "search":
            error = f"the cap of {cap} items was reached on a single day, there may be more"
            self.note(request, "partial", error=error, **counted)
        else:
            self.note(request, "done", **counted)
        return ()

    def fail(self, request: FeedRequest, error: str, payload_id: str | None = None) -> None:
        """Note that one address gave nothing, and why."""
        self.note(request, "failed", payload_id=payload_id, error=redacted(error))

    def batch(self, tickers: Sequence[str] = (), aliases: pa.Table | None = None) -> HeadlineBatch:
        """All that was added, with one row per headline.

        What a general feed has is about those of `tickers` (see `fetch_headlines`).
        """
        with scratch() as engine:
            headlines, pairs = identify_headlines(
                pa.concat_tables(self._observations),
                engine,
                granularity=self.feed.granularity,
                zone=self.feed.zone,
                day_times=self.day_times,
            )
            if self.feed.scope == "general" and self.feed.edgar is None:
                universe = [ticker for ticker in tickers if ticker != GENERAL] or None
                known = load_aliases() if aliases is None else aliases
                pairs = resolve_tickers(headlines, known, engine, universe)
        return HeadlineBatch(
            headlines=headlines,
            headline_tickers=pairs,
            rejects=pa.Table.from_pylist(self._rejects, schema=REJECTS),
            payloads=tuple(self.payloads),
            partitions=pa.Table.from_pylist([*self._partitions.values()], schema=PARTITIONS),
        )

    def validation_error(self, item: FeedItem, fetched_at: datetime) -> str | None:
        if item.published_at > fetched_at + self.feed.clock_skew:
            return "published in the future"
        if item.published_at < EARLIEST:
            return f"published before {EARLIEST:%Y}"
        return None

    def observe(
        self,
        items: Sequence[FeedItem],
        tickers: Sequence[str | None],
        payload: Payload,
        *,
        held_until: Sequence[datetime] | None = None,
        synthetic: bool = False,
    ) -> None:
        """Note items of an answer, each under the ticker it was found for, if for one.

        `held_until` (UTC) is when the publisher let each out, if not when it is stamped.
        `synthetic` answers say so themselves.
        """
        count, feed = len(items), self.feed
        names = ("title", "summary", "url", "guid", "published_at", "granularity", "day")
        columns: dict[str, Sequence[Any]] = {
            name: [getattr(item, name) for item in items] for name in names
        }
        for name in ("url", "guid"):
            # A vendor may repeat the address that it was asked at.
            columns[name] = [text and without_known(text) for text in columns[name]]
        columns["position"] = range(self._count, self._count + count)
        columns["ticker"] = tickers
        columns["method"] = [ticker and "feed" for ticker in tickers]
        columns["lag_us"] = [
            round((feed.lag + max(until - item.published_at, timedelta(0))) / MICROSECOND)
            for item, until in zip(items, held_until or columns["published_at"], strict=True)
        ]
        constants = {
            "source": feed.source,
            "first_seen_at": payload.fetched_at,
            "availability": "observed" if feed.mode == "poll" else "asserted",
            "synthetic": feed.synthetic or synthetic,
            "payload_id": payload.payload_id,
        }
        arrays = [
            pa.array(columns[column.name], column.type)
            if column.name in columns
            else pa.repeat(pa.scalar(constants[column.name], column.type), count)
            for column in OBSERVATIONS
        ]
        self._observations.append(pa.table(arrays, schema=OBSERVATIONS))
        self._count += count

    def reject(
        self, kind: str, key: str, reason: str, record: dict[str, str], payload_id: str
    ) -> None:
        self._rejects.append(
            {
                "kind": kind,
                "source": self.feed.name,
                "key": key,
                "reason": redacted(reason),
                "record": without_known(json.dumps(record, ensure_ascii=False, sort_keys=True)),
                "payload_id": payload_id,
            }
        )

    def note(self, request: FeedRequest, state: str, **outcome: Any) -> None:
        self._partitions[request.key, request.range_start, request.range_end] = {
            "source": self.feed.name,
            "key": request.key,
            "range_start": request.range_start,
            "range_end": request.range_end,
            "state": state,
            "rows": 0,
            **outcome,
        }


def _record(item: FeedItem) -> dict[str, str]:
    return {
        "title": item.title,
        "date": item.published_at.isoformat(),
        "link": item.url or "",
        "guid": item.guid or "",
    }
