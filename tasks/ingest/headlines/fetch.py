"""Headlines from feeds: fetched and landed, page by page, and landed answers read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, time
from functools import partial

import pyarrow as pa

from tasks.ingest.headlines.api_answers import busy_words
from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.requests import FeedRequest, feed_requests, request_of
from tasks.ingest.http.client import FeedClient
from tasks.ingest.http.retry import FetchError, TransientError
from tasks.ingest.unreadable import in_one_line
from warehouse.storage.landing import CachedPayload, Payload
from warehouse.tables.batches import PARTITIONS, Clock, HeadlineBatch, Land

_REQUESTS_AT_ONCE = 64
_REFUSED = frozenset({401, 429})
"""Statuses by which an API refuses whatever is asked: no such key, no more requests."""


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
    meets the feed's cap is asked again in halves, down to what `halves` allows, which is then
    partial. An API's answer is all its pages: one that fails spoils itself only, and the range is
    partial. An API that refuses the key, or any further request, is not asked again.
    Items that cannot be used become rejects with their reason. A poll keeps all items
    it sees, whatever the range. With `cached`, requests are conditional, and one that has
    not changed counts as having answered the same again. What a general feed has is about those
    of `tickers` (all, if it is GENERAL) that its titles name by `aliases`, by default the shipped
    ones. `day_times`: the times of day (UTC) at which the source is known to put days. Raises
    ValueError when `start` is after `end`.
    """

    api = feed.api
    refusals: list[str] = []

    def fetch(request: FeedRequest) -> Payload | str:
        # A further page of another moment may have the same address and validators.
        known = cached(request.url) if cached and request.page == 1 else None
        if refusals:
            return f"{request.url} was not asked for: {refusals[0]}"
        try:
            return client.fetch(
                request.address,
                shown=request.url,
                source=feed.name,
                clock=clock,
                cached=known,
                headers=None if api is None else api.headers,
                query=request.query,
                busy=None if api is None else partial(busy_words, api=api),
            )
        except FetchError as error:
            if api is not None and error.status in _REFUSED:
                refusals.append(str(error))
            # What came of a body that always broke off is a document that ends early.
            answer = error.answer if isinstance(error, TransientError) else None
            return answer if isinstance(answer, Payload) else str(error)
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
