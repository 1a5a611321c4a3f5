"""What bars are judged beside: sessions of their exchange, and the bars on record around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archives.formats import ArchiveError
from tasks.ingest.prices.validation import EARLIEST, NO_CALENDAR
from tasks.ingest.symbols import SYMBOL
from warehouse.lake import ReadSql
from warehouse.lake.scratch import scratch
from warehouse.tables.batches import ACTIONS, BARS

# Suffixes of quote vendors (Yahoo's) that name one exchange. US shares carry none, or their class.
SUFFIXES = {
    "AS": "XAMS", "AT": "ASEX", "AX": "XASX", "BK": "XBKK", "BO": "XBOM", "BR": "XBRU",
    "CO": "XCSE", "DE": "XETR", "F": "XFRA", "HE": "XHEL", "HK": "XHKG", "IC": "XICE",
    "IR": "XDUB", "IS": "XIST", "JK": "XIDX", "JO": "XJSE", "KL": "XKLS", "KQ": "XKRX",
    "KS": "XKRX", "L": "XLON", "LS": "XLIS", "MC": "XMAD", "ME": "XMOS", "MI": "XMIL",
    "MX": "XMEX", "NS": "XBOM", "NZ": "XNZE", "OL": "XOSL", "PA": "XPAR", "PR": "XPRA",
    "SA": "BVMF", "SI": "XSES", "SN": "XSGO", "SS": "XSHG", "ST": "XSTO", "SW": "XSWX",
    "SZ": "XSHG", "T": "XTKS", "TA": "XTAE", "TO": "XTSE", "TW": "XTAI", "V": "XTSE",
    "VI": "XWBO", "WA": "XWAR",
}  # fmt: skip

# Fewer days than this may well be a sample of odd ones; a fifth of more is not bad luck.
_ENOUGH_DAYS = 20


# Made of batches: `empty_table` would import pandas, a second of every command.
_NO_ACTIONS = pa.Table.from_batches([], schema=ACTIONS)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The exchange of each ticker, the sessions of each exchange, and the bars on record.

    `exchanges` holds the tickers that are not on `exchange`. `read` reads the warehouse; without it
    nothing is on record. `told` are splits (ACTIONS) to judge by besides those on record; `stored`
    are those on record, read at once for all tickers that are asked about (None: when asked).
    """

    exchange: str | None = None
    exchanges: Mapping[str, str] = field(default_factory=dict)
    calendars: Mapping[str, pa.Table] = field(default_factory=dict)
    read: ReadSql | None = None
    told: pa.Table = field(default_factory=lambda: _NO_ACTIONS)
    stored: pa.Table | None = None

    def about(self, tickers: Sequence[str]) -> Surroundings:
        """The same for these tickers alone: their splits on record are read now, not one by one.

        A read of the warehouse takes 30 ms of CPU, mostly for its catalog.
        """
        days = pa.table({"ticker": pa.array(tickers, pa.string())})
        return replace(self, stored=self._stored(days))

    def with_splits(self, told: pa.Table) -> Surroundings:
        """The same, with other splits to judge by besides those on record."""
        return replace(self, told=told)

    def held(self, tickers: Sequence[str], first: date, last: date) -> pa.Table:
        """The bars (BARS) on record of `tickers` from `first` to `last`, both inclusive."""
        if self.read is None:
            return BARS.empty_table()
        params = {"tickers": list(tickers), "first": first, "last": last}
        return self.read("bars_held", params).cast(BARS)

    def splits_of(self, tickers: Sequence[str]) -> pa.Table:
        """The splits (ACTIONS) of `tickers`: those on record, and those told besides."""
        days = pa.table({"ticker": pa.array(tickers, pa.string())})
        return self._splits(days)

    def by_exchange(self, candidates: pa.Table) -> list[tuple[pa.Table, pa.Table]]:
        """The candidates of each exchange, with its sessions."""
        if self.exchange is None:
            return [(candidates, NO_CALENDAR)]
        usual = self.calendars[self.exchange]
        others = pa.array(list(self.exchanges), pa.string())
        elsewhere = pc.is_in(candidates["ticker"], others)
        if not pc.any(elsewhere).as_py():
            return [(candidates, usual)]
        parts = [(candidates.filter(pc.invert(elsewhere)), usual)]
        for exchange in sorted(set(self.exchanges.values())):
            listed = [name for name, place in self.exchanges.items() if place == exchange]
            own = candidates.filter(pc.is_in(candidates["ticker"], pa.array(listed)))
            parts.append((own, self.calendars[exchange]))
        return [part for part in parts if part[0].num_rows]

    def around(self, candidates: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Bars on record around the candidates, and the splits of their tickers."""
        return self._on_record("bars_around", candidates.select(["ticker", "session"]))

    def beside_actions(self, candidates: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Bars on record around the days of actions, and the splits of their tickers."""
        return self._on_record("bars_beside_actions", candidates.select(["ticker", "ex_date"]))

    def _on_record(self, bars: str, candidates: pa.Table) -> tuple[pa.Table, pa.Table]:
        days = _of_symbols(candidates)
        if self.read is None:
            return BARS.empty_table(), self._splits(days)
        return self.read(bars, candidates=days).cast(BARS), self._splits(days)

    def _stored(self, days: pa.Table) -> pa.Table:
        if self.stored is not None:
            return self.stored.filter(
                pc.is_in(self.stored["ticker"], days["ticker"].combine_chunks())
            )
        if self.read is None:
            return ACTIONS.empty_table()
        return self.read("splits_of", candidates=_of_symbols(days)).cast(ACTIONS)

    def _splits(self, days: pa.Table) -> pa.Table:
        stored = self._stored(days)
        told = self.told.filter(pc.is_in(self.told["ticker"], days["ticker"].combine_chunks()))
        if not told.num_rows:
            return stored
        with scratch() as engine:
            return engine.read("splits_merged", told=told, stored=stored).cast(ACTIONS)


def _of_symbols(days: pa.Table) -> pa.Table:
    """The rows whose ticker can be one: of others nothing is on record, and the catalog of a
    warehouse cannot be asked for every text (none that holds a NUL)."""
    return days.filter(pc.match_substring_regex(days["ticker"], rf"\A(?:{SYMBOL.pattern})\z"))


NOTHING_KNOWN = Surroundings()
"""Neither sessions nor bars on record: neither is checked."""


def exchanges_of(
    tickers: Iterable[str],
    usual: str,
    *,
    declared: str | None,
    recorded: Mapping[str, str],
    file: str,
) -> dict[str, str]:
    """The exchange of each ticker: as `declared` for all, else as `recorded`, else the `usual` one.

    Raises ArchiveError for tickers whose suffix names another exchange than the usual one: nobody
    said where they trade. A ticker that is no symbol is not asked about: its rows are refused.
    """
    if declared is not None:
        return dict.fromkeys(tickers, declared)
    found = {ticker: recorded.get(ticker, usual) for ticker in tickers}
    strangers: dict[str, str] = {}
    for ticker, exchange in found.items():
        stem, dot, suffix = ticker.rpartition(".")
        named = SUFFIXES.get(suffix) if dot and stem and SYMBOL.fullmatch(ticker) else None
        if named is not None and named != exchange:
            strangers.setdefault(named, ticker)
    if strangers:
        named, ticker = next(iter(sorted(strangers.items())))
        raise ArchiveError(
            f"{file} holds {ticker}, whose suffix stands for {named}, and would be judged by the "
            f"sessions of {found[ticker]}. Say where its tickers trade: --map exchange={named}, or "
            f"universe.exchange. Nothing was imported."
        )
    return found


def require_daily(days: pa.Array, calendars: Mapping[str, pa.Table], file: str) -> None:
    """Raise ArchiveError unless the distinct `days` of a file look like those of daily bars.

    Days outside what the calendars record, or impossible ones, say nothing.
    """
    sessions = pa.concat_arrays(
        [calendar["session"].combine_chunks() for calendar in calendars.values()]
    )
    if not len(sessions):
        return
    span = pc.min_max(sessions).as_py()
    inside = pc.and_(pc.greater_equal(days, span["min"]), pc.less_equal(days, span["max"]))
    known = days.filter(inside).unique().drop_null().sort()
    if len(known) < _ENOUGH_DAYS // 2:
        return
    numbers = known.cast(pa.int32())
    gaps = pc.subtract(numbers[1:], numbers[:-1]).to_pylist()
    for name, low, high in (("weekly", 6, 8), ("monthly", 27, 34), ("quarterly", 88, 95)):
        if sum(low <= gap <= high for gap in gaps) >= 0.8 * len(gaps):
            raise ArchiveError(
                f"{file} holds {name} bars: its days lie {low} to {high} days apart. Expected a "
                "bar for each session; export daily ones. Nothing was imported."
            )
    rests = known.filter(pc.invert(pc.is_in(known, sessions)))
    if len(known) >= _ENOUGH_DAYS and len(rests) * 5 > len(known):
        names = " and ".join(sorted(calendars))
        raise ArchiveError(
            f"{file} speaks of {len(known)} days, of which {len(rests)} are no sessions of {names} "
            f"({rests[0]} the first). Say where its tickers trade (--map exchange=…), or correct "
            "how its days are read. Nothing was imported."
        )


def spoken_of(days: pa.Array, today: date) -> tuple[date, date]:
    """The first and last possible day of a file; `today` twice where none is."""
    possible = days.filter(
        pc.and_(pc.greater_equal(days, EARLIEST), pc.less_equal(days, today + timedelta(days=1)))
    )
    span = pc.min_max(possible).as_py()
    return span["min"] or today, span["max"] or today
