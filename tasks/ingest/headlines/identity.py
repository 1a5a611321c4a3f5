"""Headline identity: which observations are one headline, when it was available, whom it names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from functools import cache
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tasks.ingest.headlines.dates import DeclaredGranularity
from tasks.ingest.headlines.listings import listed_aliases
from warehouse.lake.scratch import Scratch
from warehouse.tables import schemas
from warehouse.tables.batches import HEADLINE_TICKERS, HEADLINES

OBSERVATIONS = pa.schema(
    [
        *schemas.without(HEADLINES, "headline_id", "available_at"),
        pa.field("day", pa.date32()),
        pa.field("lag_us", pa.int64(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("ticker", pa.string()),
        pa.field("method", pa.string()),
    ]
)
"""One row per item of a payload and ticker it was observed under (null: none known).

`granularity` and `day` are as in DATED. `lag_us` counts microseconds and applies to asserted rows.
`position` orders the observations of
a batch; the first one of a headline is the one kept.
"""

ALIASES = schemas.TICKERS
"""One row per ticker, alias and first day of validity, as in the table `tickers`.

kind: symbol | word_symbol | former_symbol | name | word_name | former_name | share_class | decoy.
A decoy has no ticker: it is a phrase that contains a name and means something else.
"""

EVIDENCE = (
    "inc", "corp", "co", "ltd", "plc", "corporation", "incorporated", "limited", "shares",
    "share", "stock", "earnings", "profit", "profits", "revenue", "sales", "results", "loss",
    "losses", "dividend", "quarterly", "ceo", "cfo", "chief", "holders", "investors", "beats",
    "beat", "misses", "miss", "reports", "posts", "raises", "raise", "cuts", "cut", "lowers",
    "lifts", "tops", "says", "said", "sees", "plans", "launches", "announces", "names", "hires",
    "fires", "buys", "sells", "acquires", "unveils", "sues", "warns", "expects", "agrees", "wins",
    "loses", "gets", "confirms", "rises", "falls", "jumps", "drops", "surges", "slips", "gains",
    "climbs", "tumbles", "slides", "soars", "sinks", "sheds", "adds", "builds", "starts", "seeks",
    "files", "secures", "prepares", "plunges", "slumps", "skyrockets", "dives", "dips", "edges",
    "grows", "doubles", "triples", "completes", "declares", "appoints", "suspends", "recalls",
    "settles", "mulls", "explores", "reveals", "introduces", "proposes", "q1", "q2", "q3", "q4",
    "closes", "opens", "upgraded", "downgraded", "rated", "changes", "to", "and",
)  # fmt: skip
"""Words that, right after a name that is also an English word, show that the company is meant."""

_FORMS = ("inc", "corp", "co", "ltd", "plc", "corporation", "incorporated", "limited")
"""Evidence that a comma may part from the name."""

_JOINING = ("to", "and", "said", "changes")
"""Evidence only in a title that has capitals where a sentence has them."""

_MODIFIERS = (
    "a", "an", "the", "its", "his", "her", "their", "our", "your", "my",
    "this", "that", "these", "those", "no", "any", "all", "some", "every", "other",
    "most", "more", "many", "few", "best", "better", "worst", "top", "big", "bigger",
    "biggest", "new", "old", "first", "last", "next", "strong", "weak", "good", "bad",
    "high", "low", "higher", "lower", "record", "huge", "small", "cheap", "global", "local",
    "national", "federal", "public", "private", "buy", "sell", "own", "very", "how",
)  # fmt: skip
"""Words after which a name that is also an English word is that word."""

_PARTICLES = (
    "about", "after", "amid", "from", "into", "over", "than", "that", "this", "what", "when",
    "with", "your", "under", "will", "could", "their", "here", "more", "most", "they", "them",
)  # fmt: skip
"""Words that titles with capitals everywhere write small nevertheless."""

_ATTRIBUTED_AFTER = 5
"""So many words before a colon are a statement; whoever follows at the end made it."""

_SYMBOLS = ("symbol", "word_symbol", "former_symbol")
_NAMES = ("name", "word_name", "former_name", "share_class", "decoy")


class AliasError(ValueError):
    """An alias file does not have the shape that ALIASES describes."""


BROKERS = (
    "BAC", "BCS", "BLK", "BMO", "BNS", "C", "CM", "CS", "DB", "EVR", "GS", "HSBC", "JEF", "JPM",
    "LAZ", "MS", "NMR", "OPY", "PIPR", "RJF", "RY", "SF", "TD", "UBS", "WFC",
)  # fmt: skip
"""Tickers of banks whose analysts rate other companies."""

_PUBLISHERS = ("MORN", "NRDS", "NWSA", "NYT", "SPGI", "TRI")
"""Tickers of companies whose columns other papers print under their name and a colon."""


def load_aliases(path: Path | None = None) -> pa.Table:
    """The aliases of all US-listed companies, those curated, and those of a CSV file at `path`.

    The file has the columns of ALIASES. What it says of an alias counts instead of what is shipped;
    what is curated of a ticker or an alias counts instead of the SEC's list. Raises AliasError for
    other columns, unreadable dates or an unknown kind.
    """
    shipped = _shipped_aliases()
    if path is None:
        return shipped
    own = _read_aliases(path)
    overruled = pc.is_in(shipped["alias"], pc.unique(own["alias"]))
    return pa.concat_tables([own, shipped.filter(pc.invert(overruled))])


@cache
def _shipped_aliases() -> pa.Table:
    curated = _read_aliases(Path(str(files("tasks.ingest.headlines"))) / "presets" / "tickers.csv")
    companies = listed_aliases()
    # A ticker without a symbol there only gets names that the list does not know: its brands.
    complete = curated.filter(pc.is_in(curated["kind"], pa.array(_SYMBOLS)))
    known = pc.or_(
        pc.is_in(companies["ticker"], pc.unique(complete["ticker"])),
        pc.is_in(companies["alias"], pc.unique(curated["alias"])),
    )
    return pa.concat_tables([curated, companies.filter(pc.invert(known))])


def alias_coverage(tickers: Sequence[str], aliases: pa.Table, engine: Scratch) -> pa.Table:
    """One row per ticker, in order: the names it is found by, and how well (`found_by`).

    found_by: name | name with evidence | marked symbol (any ticker: "$X", "(NASDAQ: X)").
    """
    return engine.read("alias_coverage", {"tickers": list(tickers)}, aliases=aliases)


def _read_aliases(source: Path) -> pa.Table:
    options = pa_csv.ConvertOptions(
        column_types=ALIASES, null_values=[""], strings_can_be_null=False
    )
    try:
        table = pa_csv.read_csv(source, convert_options=options).select(ALIASES.names)
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise AliasError(
            f"The alias file {source.name} could not be read: {error}. Expected the columns "
            f"{', '.join(ALIASES.names)}, dates as YYYY-MM-DD."
        ) from error
    if unknown := sorted(set(table["kind"].unique().to_pylist()) - {*_SYMBOLS, *_NAMES}):
        raise AliasError(
            f"The alias file {source.name} has the kind {unknown[0]!r}; expected one of "
            f"{', '.join((*_SYMBOLS, *_NAMES))}."
        )
    return table.cast(ALIASES)


def identify_headlines(
    observations: pa.Table,
    engine: Scratch,
    *,
    granularity: DeclaredGranularity = "detect",
    zone: str | None = None,
    day_times: Sequence[time] = (),
) -> tuple[pa.Table, pa.Table]:
    """The HEADLINES that observations are of, merged by headline_id, and their HEADLINE_TICKERS.

    `observations` has the columns of OBSERVATIONS, all of one source. `granularity` and `zone` are
    what is declared of its stamps, `day_times` the times of day (UTC) at which it is known to put
    days; see `observations_dated`. The answer does not depend on the order of the rows.
    """
    declared = {"granularity": granularity, "zone": zone, "day_times": [str(t) for t in day_times]}
    dated = engine.read("observations_dated", declared, observations=observations)
    identified = engine.read("observations_identified", dated=dated)
    headlines = engine.read("headlines_identified", identified=identified)
    pairs = engine.read("headline_tickers_identified", identified=identified)
    return headlines.cast(HEADLINES), pairs.cast(HEADLINE_TICKERS)


def spell_tickers(
    headlines: pa.Table, pairs: pa.Table, aliases: pa.Table, engine: Scratch
) -> pa.Table:
    """HEADLINE_TICKERS with the symbols that a vendor lists as `aliases` (ALIASES) spell them.

    A symbol counts as of the day of its headline; one that no alias has stays as it is.
    """
    found = engine.read(
        "declared_tickers_spelled",
        headlines=headlines.select(["headline_id", "published_at"]),
        pairs=pairs,
        aliases=aliases,
    )
    return found.cast(HEADLINE_TICKERS)


def resolve_tickers(
    headlines: pa.Table, aliases: pa.Table, engine: Scratch, tickers: Sequence[str] | None = None
) -> pa.Table:
    """The tickers that each title names on the day it was published, as HEADLINE_TICKERS.

    `headlines` needs headline_id, title and published_at; `aliases` has the columns of ALIASES.
    With `tickers`, only those are answered, former symbols of a ticker under its present one. A
    company with several share classes is answered with each of them.
    """
    found = engine.read(
        "headline_aliases",
        {
            "evidence": list(EVIDENCE),
            "forms": list(_FORMS),
            "joining": list(_JOINING),
            "modifiers": list(_MODIFIERS),
            "particles": list(_PARTICLES),
            "attributed_after": _ATTRIBUTED_AFTER,
            "brokers": list(BROKERS),
            "publishers": list(_PUBLISHERS),
            "tickers": None if tickers is None else list(tickers),
        },
        headlines=headlines.select(["headline_id", "title", "published_at"]),
        aliases=aliases,
    )
    return found.cast(HEADLINE_TICKERS)
