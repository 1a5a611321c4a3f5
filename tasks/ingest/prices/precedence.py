"""Several vendors of daily bars in their order: the next one fills in what those before lack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.prices.vendor import PriceVendor
from tasks.ingest.prices.vendor_batch import VendorFetch, overlapped
from warehouse.lake.scratch import scratch
from warehouse.tables.batches import (
    ACTIONS,
    BARS,
    PARTITIONS,
    REJECTS,
    SUBSTITUTIONS,
    PriceBatch,
)

Days = tuple[date, date]


def fetch_in_order(
    vendors: Sequence[PriceVendor], tickers: Sequence[str], days: Days, fetch: VendorFetch
) -> PriceBatch:
    """What the vendors give of `tickers` for the inclusive exchange dates `days`, as one batch.

    Each vendor after the first is asked for the sessions that no vendor before it gave in a usable
    form and that are not on record; with `cross_check` in the spec it is asked for all. Of several
    bars of a session the first vendor's counts; a later vendor that disagrees on most sessions of a
    ticker with what is there gives none. All of them are in `readings`. A ticker that the first
    vendor could not serve is `missing` while a session lacks a bar.
    """
    given = [fetch.batch(vendors[0], tickers, days)]
    if len(vendors) == 1:
        return given[0]
    joined = _Joined(vendors, tickers, days, fetch)
    for vendor in vendors[1:]:
        told = joined.splits(given)
        for span, names in joined.wanted(given):
            given.append(fetch.knowing(told).batch(vendor, names, span))
    return joined.batch(given)


@dataclass(frozen=True, slots=True)
class _Joined:
    """Joins the batches of one request set, the first vendor's first."""

    vendors: Sequence[PriceVendor]
    tickers: Sequence[str]
    days: Days
    fetch: VendorFetch

    def splits(self, given: Sequence[PriceBatch]) -> pa.Table:
        """The splits that the vendors have told, the best one's first (ACTIONS)."""
        told = ACTIONS.empty_table()
        with scratch() as engine:
            for batch in given:
                new = batch.actions.filter(pc.equal(batch.actions["kind"], "split"))
                told = engine.read("splits_merged", told=told, stored=new).cast(ACTIONS)
        return told

    def wanted(self, given: Sequence[PriceBatch]) -> Iterator[tuple[Days, list[str]]]:
        """The ranges to ask the next vendor for, each with its tickers."""
        if self.fetch.spec.cross_check:
            yield self.days, list(self.tickers)
            return
        by_range: dict[Days, list[str]] = defaultdict(list)
        lacking = self._lacking(given, _bars(given))
        spans = lacking.group_by("ticker").aggregate([("session", "min"), ("session", "max")])
        for row in spans.sort_by("ticker").to_pylist():
            by_range[row["session_min"], row["session_max"]].append(row["ticker"])
        yield from sorted(by_range.items())

    def batch(self, given: Sequence[PriceBatch]) -> PriceBatch:
        """All of them as one."""
        first, spec = given[0], self.fetch.spec
        readings = _bars(given)
        actions = pa.concat_tables([batch.actions for batch in given])
        rejects = pa.concat_tables([REJECTS.empty_table(), *(one.rejects for one in given)])
        ledger = pa.concat_tables([PARTITIONS.empty_table(), *(one.partitions for one in given)])
        ranks = {vendor.source: rank for rank, vendor in enumerate(self.vendors, 1)}
        with scratch() as engine:
            tables = {
                "readings": _ranked(readings, ranks),
                "held": self._held(),
                "splits": self.fetch.knowing(self.splits(given)).surroundings.splits_of(
                    self.tickers
                ),
            }
            params = {"tolerance": spec.tolerance}
            strayed = engine.read("vendors_strayed", params, **tables)
            chosen = engine.read(
                "bars_by_precedence", readings=tables["readings"], strayed=strayed
            ).cast(BARS)
            actions = engine.read(
                "actions_by_precedence",
                {"first": self.vendors[0].source},
                actions=_ranked(actions, ranks),
                chosen=chosen,
            ).cast(ACTIONS)
            substitutions = engine.read(
                "bars_substituted",
                {"start": self.days[0], "end": self.days[1]},
                chosen=_ranked(chosen, ranks),
                vendors=pa.table({"source": list(ranks), "rank": list(ranks.values())}),
                held=tables["held"].select(["ticker", "session"]),
                ledger=ledger,
                rejects=rejects,
                strayed=strayed,
            ).cast(SUBSTITUTIONS)
        lacking = self._lacking(given, chosen)
        missing, notes = self._words(given, chosen, lacking, strayed)
        return replace(
            first,
            bars=chosen,
            readings=readings,
            precedence=spec.precedence,
            actions=actions,
            tells_actions=any(vendor.tells_actions for vendor in self.vendors),
            substitutions=substitutions,
            rejects=rejects,
            payloads=tuple(payload for batch in given for payload in batch.payloads),
            partitions=ledger,
            missing=missing,
            notes=notes,
        )

    def _held(self) -> pa.Table:
        first = overlapped(self.days[0], self.fetch.spec.overlap_sessions, self.fetch.calendar)
        return self.fetch.surroundings.held(self.tickers, first, self.days[1])

    def _lacking(self, given: Sequence[PriceBatch], found: pa.Table) -> pa.Table:
        """Ticker and session of what the first vendor owes, no bar of `found` or on record has."""
        with scratch() as engine:
            return engine.read(
                "bars_lacking",
                {
                    "start": self.days[0],
                    "end": self.days[1],
                    "now": self.fetch.clock(),
                    "settle_seconds": self.fetch.spec.rules.settle_seconds,
                },
                ledger=given[0].partitions,
                rejects=given[0].rejects,
                found=found.select(["ticker", "session"]),
                held=self._held().select(["ticker", "session"]),
                calendar=self.fetch.calendar.select(["session", "close_ts"]),
            )

    def _words(
        self,
        given: Sequence[PriceBatch],
        chosen: pa.Table,
        lacking: pa.Table,
        strayed: pa.Table,
    ) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """What is missing with every vendor's reason, and what others did for the first."""
        first, owed = self.vendors[0].source, set(lacking["ticker"].to_pylist())
        failed = dict(given[0].missing)
        reasons: dict[str, list[str]] = defaultdict(list)
        for batch in given[1:]:
            source = batch.partitions["source"][0].as_py()
            for ticker, error in batch.missing:
                reasons[ticker].append(f"{source}: {error}")
        notes: dict[str, list[str]] = defaultdict(list)
        inside = chosen.filter(pc.greater_equal(chosen["session"], self.days[0]))
        counts = inside.group_by(["ticker", "source"]).aggregate([("session", "count")])
        for row in counts.sort_by("source").to_pylist():
            if row["source"] != first:
                words = f"{row['source']} gave {row['session_count']} bars that {first} did not"
                notes[row["ticker"]].append(words)
        for row in strayed.sort_by("source").to_pylist():
            words = (
                f"{row['source']} fills in nothing: it disagrees with the other bars on "
                f"{row['disagreed']} of {row['compared']} sessions"
            )
            notes[row["ticker"]].append(words)
            reasons[row["ticker"]].append(words)
        for ticker, error in failed.items():
            if ticker not in owed:
                notes[ticker].append(f"{first}: {error}")
        missing = tuple(
            (ticker, " ".join([error, *reasons[ticker]]))
            for ticker, error in failed.items()
            if ticker in owed
        )
        return missing, tuple((ticker, "; ".join(words)) for ticker, words in notes.items())


def _bars(given: Sequence[PriceBatch]) -> pa.Table:
    return pa.concat_tables([batch.bars for batch in given])


def _ranked(rows: pa.Table, ranks: dict[str, int]) -> pa.Table:
    """The rows with the rank of their source, 1 for the first vendor."""
    found = [ranks[source] for source in rows["source"].to_pylist()]
    return rows.append_column("rank", pa.array(found, pa.int64()))
