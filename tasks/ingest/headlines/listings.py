"""US-listed companies: the SEC's list of tickers as aliases, for every company no one curated.

`presets/us_listed.csv.gz` holds the facts of https://www.sec.gov/files/company_tickers.json (a work
of the US government): ticker, cik, name, and `common`, whether the name without its legal form is
made of words that mean other things too. To make it anew, with a list of such words, one a line
(English words, surnames, given names, places):

    python -m tasks.ingest.headlines.listings company_tickers.json words.txt us_listed.csv.gz
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from warehouse.tables import schemas

LISTED_SINCE = date(1990, 1, 1)
"""First day of validity: the list says who is listed today, not since when."""

_FORMS = (
    r"(?i)(,?\s+(inc|incorporated|corp|corporation|co|company|companies|cos|ltd|limited|plc|llc|lp|"
    r"l\.p|nv|n\.v|sa|s\.a|ag|se|ab|asa|spa|s\.p\.a|oyj|a/s|adr|ads|bv|kgaa|gmbh|trust|the|new|"
    r"holdings?|group|common stock|class [a-c])\.?,?|\s*[/\\]\s*[a-z. ]{2,12}\s*[/\\]?|"
    r"\s*\([^)]*\)|"
    r"[\s,]+(&|and))$"
)
_DOMAIN = r"(?i)[ .]com$"
_TURNS = 5


def without_legal_form(names: pa.Array) -> pa.Array:
    """Company names without what says only that they are companies: Inc, Corp, Holdings, /DE/."""
    for _ in range(_TURNS):
        names = pc.replace_substring_regex(names, _FORMS, "")
    return pc.replace_substring_regex(names, _DOMAIN, "")


@cache
def listed() -> pa.Table:
    """One row per ticker of the SEC's list: ticker, cik, name, common."""
    path = Path(str(files("tasks.ingest.headlines"))) / "presets" / "us_listed.csv.gz"
    types = {"ticker": pa.string(), "cik": pa.int64(), "name": pa.string(), "common": pa.bool_()}
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    return pa_csv.read_csv(path, convert_options=options)


@cache
def listed_aliases() -> pa.Table:
    """Aliases (as `identity.ALIASES`) of all listed companies.

    A symbol counts only when it is marked as one; a name made of common words only before evidence.
    A name that two companies bear names neither. Of several securities of one company, the one
    that the SEC lists first bears its name.
    """
    table = listed()
    symbols = pc.unique(
        pa.concat_arrays(
            [
                pc.replace_substring_regex(table["ticker"].combine_chunks(), "-", sign)
                for sign in "-."
            ]
        )
    )
    tickers = pc.replace_substring(symbols, ".", "-")
    first = table.group_by("cik", use_threads=False).aggregate(
        [("ticker", "first"), ("name", "first"), ("common", "first")]
    )
    names = first["name_first"].combine_chunks()
    plain = without_legal_form(names)
    shouted = pc.equal(plain, pc.utf8_upper(plain))
    recased = pc.if_else(shouted, _recased(plain), plain)
    kept, known = first["ticker_first"].combine_chunks(), first["common_first"].combine_chunks()
    spelled = (
        pa.table(
            {
                "ticker": pa.concat_arrays([kept, kept]),
                "alias": pa.concat_arrays([plain, recased]),
                "common": pa.concat_arrays([known, known]),
            }
        )
        .group_by(["ticker", "alias", "common"], use_threads=False)
        .aggregate([])
    )
    bearers = spelled.group_by("alias", use_threads=False).aggregate([("ticker", "count")])
    single = bearers.filter(pc.equal(bearers["ticker_count"], 1))["alias"]
    usable = pc.and_(
        pc.is_in(spelled["alias"], single),
        # A short name all in capitals is a word somewhere: it needs its marks.
        pc.match_substring_regex(spelled["alias"], r"^.{4,}$|^\d\w$|&"),
    )
    spelled = spelled.filter(usable)
    # Three common words in a row, each with its capital, are a name.
    ambiguous = pc.and_(spelled["common"], pc.less(pc.count_substring(spelled["alias"], " "), 2))
    kinds = pc.if_else(ambiguous, "word_name", "name")
    return pa.concat_tables(
        [
            _aliases(tickers, symbols, pa.repeat("word_symbol", len(symbols))),
            _aliases(spelled["ticker"], spelled["alias"], kinds),
        ]
    )


def _aliases(tickers: pa.Array, aliases: pa.Array, kinds: pa.Array) -> pa.Table:
    count = len(aliases)
    columns = {
        "ticker": tickers,
        "exchange": pa.repeat("", count),
        "alias": aliases,
        "kind": kinds,
        "valid_from": pa.repeat(pa.scalar(LISTED_SINCE), count),
        "valid_to": pa.nulls(count, pa.date32()),
    }
    return pa.table({name: columns[name] for name in schemas.TICKERS.names}).cast(schemas.TICKERS)


def _recased(names: pa.Array) -> pa.Array:
    titled = pc.utf8_title(names)
    for word in ("Of", "And", "The", "For", "In", "De", "On"):
        titled = pc.replace_substring(titled, f" {word} ", f" {word.lower()} ")
    return pc.replace_substring_regex(titled, r"'S\b", "'s")


def write_listings(source: Path, words: Path, target: Path) -> None:
    """Write the preset from the SEC's file and a list of words that mean other things too."""
    common = set(words.read_text().split("\n"))
    rows = list(json.loads(source.read_text()).values())
    plain = without_legal_form(pa.array([row["title"] for row in rows])).to_pylist()
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        text = [["ticker", "cik", "name", "common"]]
        for row, name in zip(rows, plain, strict=True):
            parts = re.findall(r"[^\W\d_]+", name.lower())
            means_more = all(part in common or len(part) < 3 for part in parts)
            text.append([row["ticker"], row["cik_str"], row["title"], str(means_more).lower()])
        lines = _Lines()
        csv.writer(lines, lineterminator="\n").writerows(text)
        packed.write("".join(lines).encode())


class _Lines(list[str]):
    """What csv.writer writes to."""

    def write(self, line: str) -> None:
        self.append(line)


if __name__ == "__main__":
    write_listings(*map(Path, sys.argv[1:4]))
