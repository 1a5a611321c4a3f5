"""Batches of headlines: answers of one feed read, identified, and noted for the ledger."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.headlines.api_answers import DAY_IS_OVER, parse_answer
from tasks.ingest.headlines.dates import EARLIEST
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.identity import (
    OBSERVATIONS,
    identify_headlines,
    load_aliases,
    resolve_tickers,
    spell_tickers,
)
from tasks.ingest.headlines.paging import PageTrail, PagingError
from tasks.ingest.headlines.parsing import FeedItem, FeedParseError, ParsedFeed, parse_feed
from tasks.ingest.headlines.requests import GENERAL, FeedRequest, halves
from tasks.ingest.http.redaction import know, redacted, without_known
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import PARTITIONS, REJECTS, HeadlineBatch

MICROSECOND = timedelta(microseconds=1)

_Range = tuple[str, date, date]
_Window = tuple[datetime, datetime] | None
_Part = tuple[_Window, int]
"""One page of one part of a range."""


@dataclass(slots=True)
class BatchBuilder:
    """Builds a batch from the answers of one feed, in the order they are added."""

    feed: FeedSpec
    day_times: Sequence[time] = ()
    payloads: list[Payload] = field(default_factory=list)
    _observations: list[pa.Table] = field(default_factory=lambda: [OBSERVATIONS.empty_table()])
    _count: int = 0
    _rejects: list[dict[str, Any]] = field(default_factory=list)
    _outcomes: dict[_Range, dict[_Part, dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _trails: dict[tuple[_Range, _Window], PageTrail] = field(
        default_factory=lambda: defaultdict(PageTrail)
    )

    def __post_init__(self) -> None:
        know(" ".join([self.feed.url, *(self.feed.api.headers.values() if self.feed.api else ())]))

    def add(
        self, request: FeedRequest, payload: Payload, payload_id: str
    ) -> tuple[FeedRequest, ...]:
        """Parse one landed answer; what it holds, or why it holds nothing, is noted.

        Returns the requests that take its place, if its range holds more than one answer can.
        """
        self.payloads.append(payload)
        try:
            parsed = self._parsed(payload)
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
        about = [(item, *pair) for item in usable for pair in self._about(item, request.key)]
        self.observe(
            [item for item, _, _ in about],
            [ticker for _, ticker, _ in about],
            payload,
            methods=[method for _, _, method in about],
            # The words that are served are those of the last update.
            held_until=[item.updated_at or item.published_at for item, _, _ in about],
        )
        return self.outcome(request, parsed, len(usable), payload_id)

    def _parsed(self, payload: Payload) -> ParsedFeed:
        zone = ZoneInfo(self.feed.zone) if self.feed.zone else None
        if self.feed.api is not None:
            return parse_answer(payload.body, self.feed.api, zone)
        content_type = dict(payload.headers).get("content-type", "")
        return parse_feed(payload.body, content_type, zone)

    def _about(self, item: FeedItem, key: str) -> list[tuple[str | None, str | None]]:
        """The tickers an item is about and how they are known: as listed, else as asked for."""
        if not item.tickers:
            return [(None, None) if key == GENERAL else (key, "feed")]
        ours = {theirs: ticker for ticker, theirs in self.feed.symbols.items()}
        return [(ours.get(ticker, ticker), "declared") for ticker in item.tickers]

    def outcome(
        self, request: FeedRequest, parsed: ParsedFeed, rows: int, payload_id: str
    ) -> tuple[FeedRequest, ...]:
        """Note whether an answer was whole, or return the requests that take its place."""
        items = len(parsed.items) + len(parsed.refused)
        problem: str | None = None
        further: FeedRequest | None = None
        at_limit = self.feed.cap is not None and items >= self.feed.cap
        try:
            further = self._next_page(request, parsed)
        except PagingError as error:
            problem = redacted(str(error))
        at_limit = at_limit or (further is not None and further.page > self._most_pages())
        if parsed.cut:
            problem = f"the document ends early (whole items: {items})"
        elif at_limit and (finer := self._halved(request)):
            return finer
        elif at_limit and (further is not None or self.feed.mode == "search"):
            problem = self._limit(request, further)
            further = None
        counted = {"rows": rows, "received": items, "payload_id": payload_id}
        state = "partial" if problem else "done" if items else "empty"
        self.note(request, state, **counted, **({"error": problem} if problem else {}))
        return () if further is None else (further,)

    def _limit(self, request: FeedRequest, further: FeedRequest | None) -> str:
        """The limit that an answer met which cannot be asked for in smaller parts, in words."""
        if further is not None:
            return f"the limit of {self._most_pages()} pages was reached, there are more"
        place = "in a part of a day" if request.window else "on a single day"
        return f"the cap of {self.feed.cap} items was reached {place}, there may be more"

    def _next_page(self, request: FeedRequest, parsed: ParsedFeed) -> FeedRequest | None:
        api = self.feed.api
        if api is None:
            return None
        trail = self._trails[_range_of(request), request.window]
        return trail.next_page(request, parsed, api.paging)

    def _most_pages(self) -> int:
        return self.feed.api.paging.pages if self.feed.api else 1

    def _halved(self, request: FeedRequest) -> tuple[FeedRequest, ...]:
        """The halves of a request, whose outcomes then stand in place of that of its pages."""
        finer = halves(self.feed, request)
        if finer:
            parts = self._outcomes[_range_of(request)]
            for part in [part for part in parts if part[0] == request.window]:
                del parts[part]
        return finer

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
            if self.feed.edgar is None and (self.feed.scope == "general" or self.feed.api):
                universe = [ticker for ticker in tickers if ticker != GENERAL] or None
                known = load_aliases() if aliases is None else aliases
                if self.feed.api is not None:
                    # Nothing of what a vendor lists or a title names is left out.
                    pairs, universe = spell_tickers(headlines, pairs, known, engine), None
                listed = pairs.filter(pc.equal(pairs["method"], "declared"))["headline_id"]
                unlisted = headlines.filter(pc.invert(pc.is_in(headlines["headline_id"], listed)))
                if unlisted.num_rows:
                    named = resolve_tickers(unlisted, known, engine, universe)
                    pairs = _joined(pairs, named)
        return HeadlineBatch(
            headlines=headlines,
            headline_tickers=pairs,
            rejects=pa.Table.from_pylist(self._rejects, schema=REJECTS),
            payloads=tuple(self.payloads),
            partitions=pa.Table.from_pylist(self._partitions(), schema=PARTITIONS),
        )

    def validation_error(self, item: FeedItem, fetched_at: datetime) -> str | None:
        if item.published_at > fetched_at + self.feed.clock_skew:
            return "published in the future"
        if item.updated_at and item.updated_at > fetched_at + self.feed.clock_skew + DAY_IS_OVER:
            return "updated in the future"
        if item.published_at < EARLIEST:
            return f"published before {EARLIEST:%Y}"
        return None

    def observe(
        self,
        items: Sequence[FeedItem],
        tickers: Sequence[str | None],
        payload: Payload,
        *,
        methods: Sequence[str | None] | None = None,
        held_until: Sequence[datetime] | None = None,
        synthetic: bool = False,
    ) -> None:
        """Note items of an answer, each under the ticker it was found for, if for one.

        `methods` say how each ticker is known, if not as that of a feed.
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
        columns["method"] = methods or [ticker and "feed" for ticker in tickers]
        least = feed.lag + feed.grain
        columns["lag_us"] = [
            round((least + max(until - item.published_at, timedelta(0))) / MICROSECOND)
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
        """Note the state of one page of one part of a range; they are one row in the end."""
        self._outcomes[_range_of(request)][request.window, request.page] = {
            "source": self.feed.name,
            "key": request.key,
            "range_start": request.range_start,
            "range_end": request.range_end,
            "state": state,
            "rows": 0,
            **outcome,
        }

    def _partitions(self) -> list[dict[str, Any]]:
        return [_summed([*parts.values()]) for parts in self._outcomes.values() if parts]


def _range_of(request: FeedRequest) -> _Range:
    return request.key, request.range_start, request.range_end


def _summed(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The ledger row of a range that was answered in parts: complete only if each of them is."""
    first, states = dict(parts[0]), {part["state"] for part in parts}
    if len(parts) == 1:
        return first
    errors = list(dict.fromkeys(part["error"] for part in parts if part.get("error")))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    state = "done" if "done" in states else "empty"
    if states == {"failed"}:
        state = "failed"
    elif states & {"failed", "partial"}:
        state = "partial"
    return first | {
        "state": state,
        "rows": sum(part["rows"] for part in parts),
        "received": sum(part.get("received") or 0 for part in parts),
        "error": errors[0] + more if errors else None,
    }


def _joined(pairs: pa.Table, further: pa.Table) -> pa.Table:
    """Pairs of headline and ticker, each once, as the first table knows them."""
    both = pa.concat_tables([pairs, further])
    once = both.group_by(["headline_id", "ticker"], use_threads=False).aggregate(
        [("method", "first")]
    )
    return once.rename_columns(["headline_id", "ticker", "method"]).cast(pairs.schema)


def _record(item: FeedItem) -> dict[str, str]:
    return {
        "title": item.title,
        "date": item.published_at.isoformat(),
        "link": item.url or "",
        "guid": item.guid or "",
    }
