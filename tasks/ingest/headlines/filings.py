"""Filings of EDGAR as it answers: submissions, latest filings, headers and documents, in words."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import pyarrow as pa

from tasks.ingest.headlines.documents import described
from tasks.ingest.headlines.parsing import FeedItem, FeedParseError, RefusedItem
from tasks.ingest.headlines.plain_text import clean_text
from warehouse.lake.scratch import Scratch

GUID = "edgar:"
"""What precedes the accession number in a filing's guid; the SQL macro `is_filing` knows it."""

_URN = "urn:tag:sec.gov,2008:accession-number="

STAFF = ("0000000000", "9999999995", "9999999997")
"""How accession numbers begin of what the SEC's staff files, at its own hours."""

ENOUGH = 30
"""So many filings, all by one clock, say by which clock their answer is written: by the rule of
three, fewer than one in ten of the others can then be by the other."""

FILINGS = pa.schema(
    [
        pa.field("position", pa.int64()),
        pa.field("accession", pa.string()),
        pa.field("form", pa.string()),
        pa.field("filed", pa.date32()),
        pa.field("stamp", pa.timestamp("us")),
        pa.field("period", pa.string()),
        pa.field("items", pa.string()),
        pa.field("document", pa.string()),
        pa.field("description", pa.string()),
    ]
)
"""One row per filing of a submissions answer, in its order.

filed: the official filing date. stamp: acceptanceDateTime without its Z, null where unreadable.
items: numbers, parted by commas. period: the ISO date of the report, or empty.
"""

_COLUMNS = {
    "accession": "accessionNumber",
    "form": "form",
    "filed": "filingDate",
    "stamp": "acceptanceDateTime",
    "period": "reportDate",
    "items": "items",
    "document": "primaryDocument",
    "description": "primaryDocDescription",
}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}")
_HEADER = re.compile(rb"(?:<|&lt;)ACCEPTANCE-DATETIME(?:>|&gt;)\s*(\d{14})\b")
_CURRENT = re.compile(r"(?P<form>\S.*?) - (?P<name>.+) \((?P<cik>\d{10})\) \((?P<role>[^()]+)\)")
_ITEM = re.compile(r"\bItem (\d{1,2}\.\d{2}):")
_BLOCK = re.compile(r"(?i)</?(?:p|div|tr|li|table|h[1-6]|br|hr)\b[^>]*>")
_EXHIBIT = re.compile(
    r"(?i)(?:exhibit\s*(?:no\.?)?\s*)?(?P<number>99(?:\.\d+)?)[.*:\s–—-]*(?P<words>.*)"
)
_ENCLOSED = re.compile(r"(?is)<(script|style|title|ix:header)\b.*?</\1\s*>")

_FORMS = {
    "10-Q": "quarterly report",
    "10-K": "annual report",
    "6-K": "report of foreign issuer",
}
"""What a form without items is, as EDGAR's own list of forms calls it."""

_READINGS = {
    "header": "",
    "evidence": "",
    "file": "",
    "later": "acceptance is the later of two readings (no header; UTC or New York time)",
}


@dataclass(frozen=True, slots=True)
class Company:
    """Who files: its present name, and former ones, each to its last day (UTC), earliest first."""

    cik: int
    name: str
    former: tuple[tuple[str, date], ...] = ()
    pages: tuple[tuple[str, date, date], ...] = ()
    """Files of older filings: name, first and last filing date."""
    synthetic: bool = False

    def name_on(self, day: date) -> str:
        """The name it had on a day."""
        return next((name for name, until in self.former if day <= until), self.name)


@cache
def item_names() -> dict[str, str]:
    """The official name of each item of Form 8-K by its number."""
    text = (files("tasks.ingest.headlines") / "presets" / "form_8k.toml").read_text("utf-8")
    names: dict[str, str] = tomllib.loads(text)["items"]
    return names


def event_title(name: str, form: str, items: Sequence[str], period: str = "") -> str:
    """A filing in words: who, on which form, what.

    Items without a name (those before 23 August 2004) keep their number.
    """
    base = form.removesuffix("/A")
    amended = ", amendment" if form.endswith("/A") else ""
    if items:
        what = "; ".join(item_names().get(item, f"Item {item}") for item in items)
    else:
        what = _FORMS.get(base, "current report" if base == "8-K" else "filing")
        what += f" for the period ended {period}" if period and base.startswith("10-") else ""
    return clean_text(f"{name} {form}{amended}: {what}")


def read_submissions(body: bytes, cik: int) -> tuple[Company | None, pa.Table]:
    """The company and the FILINGS of a submissions answer; a file of older filings names no one.

    Raises FeedParseError for what is none, or holds columns of different lengths.
    """
    try:
        answer = json.loads(body)
        columns = answer["filings"]["recent"] if "filings" in answer else answer
        company = _company(answer, cik) if "filings" in answer else None
        found = {name: columns[key] for name, key in _COLUMNS.items()}
        lengths = {len(column) for column in found.values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = body.decode("utf-8", "replace")
        raise FeedParseError(
            f"The answer is no list of submissions: it is {described(text)}; expected EDGAR's JSON "
            f"with {', '.join(_COLUMNS.values())}."
        ) from error
    if len(lengths) > 1:
        raise FeedParseError(
            f"The columns of the submissions have {min(lengths)} to {max(lengths)} rows; expected "
            "as many in each. Nothing of it can be trusted."
        )
    arrays = {name: [str(cell or "") for cell in column] for name, column in found.items()}
    rows: dict[str, Any] = arrays | {
        "position": range(lengths.pop()),
        "filed": [_day(text) for text in arrays["filed"]],
        "stamp": [_stamp(text) for text in arrays["stamp"]],
    }
    return company, pa.table([pa.array(rows[f.name], f.type) for f in FILINGS], schema=FILINGS)


def _company(answer: Mapping[str, Any], cik: int) -> Company:
    if int(answer["cik"]) != cik:
        raise ValueError(f"the answer is about CIK {answer['cik']}")
    former = sorted(
        (_day(row["to"][:10]) or date.min, row["name"]) for row in answer["formerNames"]
    )
    pages = (
        (page["name"], date.fromisoformat(page["filingFrom"]), date.fromisoformat(page["filingTo"]))
        for page in answer["filings"]["files"]
    )
    return Company(
        cik,
        str(answer["name"]),
        tuple((name, until) for until, name in former),
        tuple(pages),
        answer.get("entityType") == "synthetic",
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _stamp(text: str) -> datetime | None:
    return datetime.fromisoformat(text[:19]) if _STAMP.fullmatch(text) else None


def accepted(
    filings: pa.Table, headers: Mapping[str, datetime], fetched_at: datetime, engine: Scratch
) -> dict[str, dict[str, Any]]:
    """When each filing was accepted (UTC, to the second), by accession number.

    Values: accepted_at, reading (header | evidence | file | later) and opened_at, as the statement
    `filings_accepted` says. `headers` maps accession numbers to New York wall times.
    """
    params = {"staff": list(STAFF), "punctual": _punctual(), "enough": ENOUGH}
    known = pa.table(
        {
            "accession": pa.array(headers.keys(), pa.string()),
            "accepted": pa.array(headers.values(), pa.timestamp("us")),
        }
    )
    shown = filings.select(["position", "accession", "form", "filed", "stamp"])
    found = engine.read(
        "filings_accepted", params | {"fetched_at": fetched_at}, filings=shown, headers=known
    )
    return {row.pop("accession"): row for row in found.to_pylist()}


def _punctual() -> list[str]:
    return [form + amended for form in ("8-K", *_FORMS) for amended in ("", "/A")]


def header_acceptance(body: bytes) -> datetime | None:
    """The acceptance of an SGML header or its page, New York wall time; None without one."""
    match = _HEADER.search(body)
    return datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S") if match else None  # noqa: DTZ007


def exhibit_line(body: bytes) -> str | None:
    """The first line of a filing document about an exhibit 99, the press release as a rule."""
    text = _BLOCK.sub("\n", _ENCLOSED.sub(" ", body.decode("utf-8", "replace")))
    lines = [line for line in map(clean_text, text.split("\n")) if line]
    for number, line in enumerate(lines):
        match = _EXHIBIT.fullmatch(line)
        if match is None:
            continue
        words = match["words"] or "".join(lines[number + 1 : number + 2])
        if re.search(r"[^\W\d_]{3}", words):
            return f"Exhibit {match['number']}: {words}"
    return None


def event_summary(row: Mapping[str, Any], reading: str, exhibit: str | None) -> str | None:
    """What else a filing says of itself; None when that is nothing."""
    own = clean_text(row["description"])
    bare = re.fullmatch(rf"(?i)(form )?{re.escape(row['form'])}", own)
    parts = ("" if bare else own, exhibit or "", _READINGS[reading])
    return "; ".join(filter(None, parts)) or None


def current_filings(
    items: Sequence[FeedItem], forms: Sequence[str]
) -> tuple[list[tuple[FeedItem, int]], list[RefusedItem]]:
    """The events among EDGAR's latest filings, each with the CIK of who filed, and what is none.

    Left out are forms that are not wanted, and whoever did not file himself (subjects, issuers).
    """
    events, refused = [], []
    for item in items:
        match = _CURRENT.fullmatch(item.title)
        guid = (item.guid or "").removeprefix(_URN)
        if match is None or not _ACCESSION.fullmatch(guid):
            record = {"title": item.title, "guid": item.guid or "", "link": item.url or ""}
            refused.append(RefusedItem("no filing: its form, filer or number is missing", record))
            continue
        form = match["form"]
        if form.removesuffix("/A") not in forms or match["role"] != "Filer":
            continue
        numbers = _ITEM.findall(item.summary or "")
        title = event_title(match["name"], form, numbers)
        event = FeedItem(title, None, item.url, GUID + guid, item.published_at, "second", None)
        events.append((event, int(match["cik"])))
    return events, refused
