"""EDGAR on loopback: submissions, latest filings, headers and documents, made up or as recorded.

Made-up filings follow the newswire: a session with news has one filing, whose items are its tone.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa

from sandbox.faults import Fault
from sandbox.history import EXCHANGE_ZONE
from sandbox.market import Market
from sandbox.messages import Answer, Request
from sandbox.newswire import SOURCE, NewsSpec, session_tones, ticker_headlines

CIKS = {
    "AAPL": 320193, "FB": 1326801, "GOOG": 1652044, "IBM": 51143, "MSFT": 789019, "TSLA": 1318605,
    "AMZN": 1018724, "BAC": 70858, "CSCO": 858877, "CVX": 93410, "DIS": 1744489, "GE": 40545,
    "INTC": 50863, "JNJ": 200406, "JPM": 19617, "KO": 21344, "MCD": 63908, "MRK": 310158,
    "NVDA": 1045810, "ORCL": 1341439, "PEP": 77476,
}  # fmt: skip
"""The real numbers of companies whose shares a market of the sandbox may have; others have none."""

RECENT = 300
"""How many filings are in the first file; the older ones are in another."""
_ITEMS = {
    "up": ("1.01,9.01", "2.02,9.01", "2.01,9.01", "8.01"),
    "down": ("2.05", "2.06", "3.01", "4.02"),
    "neutral": ("5.02", "5.07", "7.01,9.01"),
}
_SAME_DAY_UNTIL = time(17, 30)
_ARCHIVES = "https://www.sec.gov/Archives/edgar/data"
_NO_KEY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified '
    "key does not exist.</Message><Key>{key}</Key></Error>"
)
_SUBMISSIONS = re.compile(r"/submissions/CIK(\d{10})(-submissions-001)?\.json")
_ARCHIVED = re.compile(r"/Archives/edgar/data/(\d+)/(\d{10})(\d\d)(\d{6})/(.+)")


@dataclass(frozen=True)
class Filing:
    """One made-up filing; `accepted` in New York time, to the second."""

    cik: int
    accession: str
    form: str
    items: str
    filed: date
    accepted: datetime
    title: str

    @property
    def document(self) -> str:
        """The file name of its only document."""
        return f"sandbox-{self.filed:%Y%m%d}.htm"


class Edgar:
    """Answers EDGAR's addresses for one market; with `recorded`, a folder, by what lies there.

    The folder is laid out as `submissions/NAME.json`, `current/*.atom`, `headers/*`.
    """

    def __init__(self, market: Market, news: NewsSpec | pa.Table, recorded: Path | None) -> None:
        self._market = market
        self._news = news if isinstance(news, NewsSpec) else NewsSpec()
        self._recorded = recorded
        self._filings = functools.cache(self._made_up)

    def answer(self, request: Request, now: int, due: Sequence[Fault]) -> Answer:
        """The answer at `now` (Unix seconds); what is not there is EDGAR's 404."""
        if self._recorded is not None:
            return self._played(self._recorded, request)
        moment = datetime.fromtimestamp(now, UTC)
        if match := _SUBMISSIONS.fullmatch(request.path):
            return self._submissions(request, int(match[1]), bool(match[2]), moment, due)
        if request.path == "/cgi-bin/browse-edgar":
            return _answer("application/atom+xml", self._current(request, moment))
        if match := _ARCHIVED.fullmatch(request.path):
            return self._archived(request, match, moment)
        return _missing(request)

    def _played(self, folder: Path, request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        if request.path == "/cgi-bin/browse-edgar":
            found, kind = folder / "current" / "getcurrent-all.atom", "application/atom+xml"
        elif name.endswith("-index-headers.html"):
            accession = name.removesuffix("-index-headers.html").encode()
            pages = sorted((folder / "headers").glob("*.html"))
            held = (page for page in pages if accession in page.read_bytes()[:200])
            found, kind = next(held, folder / "headers" / name), "text/html"
        else:
            found, kind = folder / "submissions" / name, "application/json"
        if not found.is_file() or found.read_bytes().startswith(b"<?xml") > (kind[-3:] == "xml"):
            return _missing(request)
        return Answer(200, {"Content-Type": kind}, found.read_bytes())

    def _visible(self, cik: int, moment: datetime) -> list[Filing]:
        """Filings accepted by a moment, latest first."""
        ticker = next((one for one, number in CIKS.items() if number == cik), "")
        if not self._market.trades(ticker, int(moment.timestamp())):
            return []
        return [one for one in self._filings(ticker) if one.accepted <= moment][::-1]

    def _submissions(
        self, request: Request, cik: int, older: bool, moment: datetime, due: Sequence[Fault]
    ) -> Answer:
        filings = self._visible(cik, moment)
        recent, rest = filings[:RECENT], filings[RECENT:]
        if not filings or (older and not rest):
            return _missing(request)
        share = max((1.0 if one.value is None else one.value for one in due), default=0.0)
        if older:
            return _json(_columns(rest, share))
        page = {
            "name": f"CIK{cik:010d}-submissions-001.json",
            "filingCount": len(rest),
            "filingFrom": str(rest[-1].filed) if rest else "",
            "filingTo": str(rest[0].filed) if rest else "",
        }
        ticker = next(one for one, number in CIKS.items() if number == cik)
        return _json({
            "cik": f"{cik:010d}", "entityType": "synthetic", "description": SOURCE,
            "name": self._name(ticker), "tickers": [ticker], "exchanges": ["NYSE"],
            "formerNames": [],
            "filings": {"recent": _columns(recent, share), "files": [page] if rest else []},
        })  # fmt: skip

    def _current(self, request: Request, moment: datetime) -> str:
        form = request.query.get("type", "")
        found = [one for cik in CIKS.values() for one in self._visible(cik, moment)[:RECENT]]
        latest = sorted(
            (one for one in found if one.form.startswith(form)),
            key=lambda one: (one.accepted, one.accession),
            reverse=True,
        )
        entries = "".join(map(self._entry, latest[: int(request.query.get("count", "40"))]))
        return (
            '<?xml version="1.0" encoding="ISO-8859-1" ?>\n'
            '<feed xmlns="http://www.w3.org/2005/Atom"><title>Latest Filings</title>'
            f"<id>https://www.sec.gov/cgi-bin/browse-edgar</id><author><name>{SOURCE}</name>"
            f'</author><category term="synthetic"/><updated>{moment.isoformat()}</updated>\n'
            f"{entries}</feed>\n"
        )

    def _entry(self, one: Filing) -> str:
        ticker = next(name for name, number in CIKS.items() if number == one.cik)
        items = "".join(f"<br>Item {item}: -" for item in filter(None, one.items.split(",")))
        summary = f"<b>Filed:</b> {one.filed} <b>AccNo:</b> {one.accession} {items}"
        title = f"{one.form} - {self._name(ticker)} ({one.cik:010d}) (Filer)"
        folder = f"{_ARCHIVES}/{one.cik}/{one.accession.replace('-', '')}"
        return (
            f"<entry><title>{escape(title)}</title>"
            f'<link rel="alternate" href="{folder}/{one.accession}-index.htm"/>'
            f'<summary type="html">{escape(summary)}</summary>'
            f"<updated>{one.accepted.isoformat()}</updated>"
            f"<id>urn:tag:sec.gov,2008:accession-number={one.accession}</id></entry>\n"
        )

    def _archived(self, request: Request, match: re.Match[str], moment: datetime) -> Answer:
        accession = "-".join(match.groups()[1:4])
        known = {one.accession: one for one in self._visible(int(match[1]), moment)}
        one = known.get(accession)
        if one is not None and match[5] == f"{accession}-index-headers.html":
            header = (
                f"<SEC-HEADER>{accession}.hdr.sgml : {one.filed:%Y%m%d}\n"
                f"<ACCEPTANCE-DATETIME>{one.accepted:%Y%m%d%H%M%S}\n"
                f"<ACCESSION-NUMBER>{accession}\n<TYPE>{one.form}\n</SEC-HEADER>\n"
            )
            return _answer("text/html", f"<html><head><!--\n{header}--></head></html>")
        if one is not None and match[5] == one.document:
            body = f"<p>{SOURCE}</p><p>FORM {one.form}</p><p>Exhibit 99.1 {escape(one.title)}</p>"
            return _answer("text/html", f"<html><body>{body}</body></html>")
        return _missing(request)

    def _name(self, ticker: str) -> str:
        return f"{self._market.history(ticker).listing.name} (synthetic)"

    def _made_up(self, ticker: str) -> tuple[Filing, ...]:
        """All filings of a ticker, by acceptance."""
        history = self._market.history(ticker)
        tones = dict(
            zip(history.sessions.tolist(), session_tones(history, self._news), strict=True)
        )
        first: dict[date, dict[str, Any]] = {}
        for row in ticker_headlines(history, self._news).to_pylist():
            session = date.fromisoformat(row["guid"].rsplit("-", 1)[0][-10:])
            first.setdefault(session, row)
        made = sorted((_accepted(row["published_at"], day), day) for day, row in first.items())
        return tuple(
            _filing(CIKS[ticker], number, at, str(tones[day]), first[day]["title"])
            for number, (at, day) in enumerate(made)
        )


def _accepted(published: datetime, session: date) -> datetime:
    """The acceptance of what the newswire published: then, or early on the session's morning."""
    local = published.astimezone(EXCHANGE_ZONE).replace(microsecond=0)
    if local.weekday() < 5 and 6 <= local.hour < 22:
        return local
    return datetime.combine(session, time(6, local.minute, local.second), EXCHANGE_ZONE)


def _filing(cik: int, number: int, at: datetime, tone: str, title: str) -> Filing:
    filed = at.date()
    while at.time() > _SAME_DAY_UNTIL and (filed == at.date() or filed.weekday() > 4):
        filed += timedelta(days=1)
    form = "10-Q" if number % 40 == 39 else "8-K/A" if number % 23 == 22 else "8-K"
    items = "" if form == "10-Q" else _ITEMS[tone][number * 7 % len(_ITEMS[tone])]
    accession = f"{cik:010d}-{at:%y}-{number:06d}"
    return Filing(cik, accession, form, items, filed, at, title)


def _columns(filings: Sequence[Filing], false_share: float) -> dict[str, list[Any]]:
    """Submissions as columns; `false_share` of the stamps are New York time with a Z."""
    stamps = [
        one.accepted if number * 37 % 100 < false_share * 100 else one.accepted.astimezone(UTC)
        for number, one in enumerate(filings)
    ]
    return {
        "accessionNumber": [one.accession for one in filings],
        "filingDate": [str(one.filed) for one in filings],
        "reportDate": [str(one.filed) for one in filings],
        "acceptanceDateTime": [f"{stamp:%Y-%m-%dT%H:%M:%S}.000Z" for stamp in stamps],
        "form": [one.form for one in filings],
        "items": [one.items for one in filings],
        "primaryDocument": [one.document for one in filings],
        "primaryDocDescription": [one.form for one in filings],
    }


def _json(body: dict[str, Any]) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _answer(kind: str, text: str) -> Answer:
    return Answer(200, {"Content-Type": kind}, text.encode())


def _missing(request: Request) -> Answer:
    key = escape(request.path.removeprefix("/"))
    return Answer(404, {"Content-Type": "application/xml"}, _NO_KEY.format(key=key).encode())
