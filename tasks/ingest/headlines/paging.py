"""The further pages of an API's answer: which is next, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from tasks.ingest.headlines.api_spec import PagingSpec
from tasks.ingest.headlines.parsing import ParsedFeed
from tasks.ingest.headlines.requests import FeedRequest
from tasks.ingest.http.redaction import HIDDEN


class PagingError(RuntimeError):
    """There are further pages that cannot be asked for; the message says why."""


@dataclass(slots=True)
class PageTrail:
    """What the pages of one request held so far, so that going round in circles is noticed."""

    steps: set[str] = field(default_factory=set)
    items: set[object] = field(default_factory=set)
    received: int = 0

    def next_page(
        self, request: FeedRequest, parsed: ParsedFeed, paging: PagingSpec
    ) -> FeedRequest | None:
        """The request for the page after `parsed`, which answers `request`; None: it is the last.

        Raises PagingError when the vendor leads in circles, elsewhere, or nowhere.
        """
        if paging.kind == "none":
            return None
        fresh = {_identity(item) for item in (*parsed.items, *parsed.refused)}
        repeated = bool(fresh) and fresh <= self.items
        self.items |= fresh
        self.received += len(parsed.items) + len(parsed.refused)
        step = self._step(request, parsed, paging)
        if step is None:
            return None
        if step in self.steps:
            raise PagingError("the vendor leads to the same next page again")
        if repeated:
            raise PagingError(f"page {request.page} only repeats items of the pages before")
        self.steps.add(step)
        page = request.page + 1
        shown = f"{request.url.partition('#')[0]}#page={page}"
        if paging.kind == "next_url":
            return replace(_at(step, request), url=shown, page=page)
        return replace(request, url=shown, page=page, query=((str(paging.parameter), step),))

    def _step(self, request: FeedRequest, parsed: ParsedFeed, paging: PagingSpec) -> str | None:
        """What tells the next page: its number, offset, token or address."""
        if paging.kind in ("page", "offset"):
            count = len(parsed.items) + len(parsed.refused)
            if not count or (paging.size is not None and count < paging.size):
                return None
            return str(paging.start + (request.page if paging.kind == "page" else self.received))
        given = parsed.following
        if given is None or given is False or given == "":
            return None
        if isinstance(given, str | int):
            return str(given)
        raise PagingError(f"the next page is told as {type(given).__name__}, expected a text")


def _identity(item: object) -> object:
    """What makes an item of one page the same as one of another."""
    record = getattr(item, "record", None)
    return item if record is None else tuple(sorted(record.items()))


def _origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port. Raises ValueError for a port that is none."""
    usual = {"http": 80, "https": 443}.get(address.scheme)
    return address.scheme, address.hostname, address.port or usual


def _at(address: str, request: FeedRequest) -> FeedRequest:
    """The request at an address that the vendor gave, with the secrets of the first one's address.

    Everything in it is the vendor's word: it is sent, and never looked up in the environment.
    """
    base = urlsplit(request.address)
    try:
        given = urlsplit(urljoin(request.address, address))
        same = _origin(base) == _origin(given)
    except ValueError as error:
        raise PagingError(f"the next page has no usable address: {error}") from error
    if not same:
        raise PagingError(
            f"the next page lies at {given.scheme}://{given.hostname}, expected "
            f"{base.scheme}://{base.hostname}; it was not asked for"
        )
    own = [pair for pair in base.query.split("&") if "${" in pair]
    keyed = {pair.partition("=")[0] for pair in own}
    query = tuple(
        (name, value)
        for name, value in parse_qsl(given.query, keep_blank_values=True)
        if name not in keyed and value != HIDDEN
    )
    path = given.path.replace("$", "%24")
    address = f"{base.scheme}://{base.netloc}{path}" + ("?" + "&".join(own) if own else "")
    return replace(request, address=address, query=query)
