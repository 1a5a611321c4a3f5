"""The universe of a run: recorded as of the day, and what may be asked of it."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from flows.settings import Settings
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.planning import DateRange
from tasks.ingest.universe import Asked, asked_of, renames_until
from warehouse.lake import Lake
from warehouse.tables import schemas
from warehouse.tables.memberships import publish_memberships

REST = 10
"""Calendar days that weekends and holidays may add to a count of sessions."""


def record_universe(lake: Lake, settings: Settings, now: datetime) -> tuple[tuple[str, str], ...]:
    """Store the memberships of a dated universe; returns what was refused of the file, in words.

    Renamings by `now` (UTC) of its tickers are stored beside them. Nothing is done for a list of
    tickers.
    """
    universe, file = settings.universe, settings.universe.memberships()
    if file is None or universe.dated is None:
        return ()
    publish_memberships(
        lake,
        universe.dated,
        file.members,
        renamed=_renamed(settings, file.members, now.date()),
        rejects=file.rejects(),
        now=now,
    )
    words = file.words()
    return () if words is None else ((universe.dated, words),)


def asked(
    settings: Settings, tickers: tuple[str, ...] | None, wanted: DateRange, today: date
) -> Asked:
    """What may be asked for in the inclusive range `wanted`, by symbol; only `tickers`, if given.

    Of a dated universe each member while it was one, and the days around that which context and
    labels need; who never was a member, such as a benchmark, and a list, in all of the range.
    """
    chosen, file = tickers or settings.universe.tickers, settings.universe.memberships()
    if file is None:
        spans = dict.fromkeys(chosen, (wanted,))
        return Asked(spans, spans)
    spec = settings.dataset
    lookback = spec.render.return_window if spec.render.uses_context else 0
    found = asked_of(
        file.members.filter(pc.is_in(file.members["ticker"], pa.array(chosen, pa.string()))),
        renames_until(load_aliases(settings.universe.aliases), today),
        today,
        before=_days(spec.label.horizon + lookback + 2),
        after=_days(spec.label.horizon),
    ).within(wanted)
    others = dict.fromkeys((one for one in chosen if one not in file.tickers), (wanted,))
    return Asked({**found.prices, **others}, {**found.headlines, **others}, found.ended)


def _days(sessions: int) -> int:
    """So many calendar days hold at least so many sessions."""
    return sessions * 7 // 5 + REST


def _renamed(settings: Settings, members: pa.Table, today: date) -> pa.Table:
    """The renamings that concern a member, as rows of `tickers`."""
    renames = renames_until(load_aliases(settings.universe.aliases), today)
    known = members["ticker"].unique()
    concerned = pc.or_(pc.is_in(renames["former"], known), pc.is_in(renames["ticker"], known))
    rows = renames.filter(concerned)
    size = rows.num_rows
    return pa.table(
        {
            "ticker": rows["ticker"],
            "exchange": pa.repeat(settings.universe.exchange, size),
            "alias": rows["former"],
            "kind": pa.repeat("former_symbol", size),
            "valid_from": rows["renamed_on"],
            "valid_to": pa.nulls(size, pa.date32()),
        },
        schema=schemas.TICKERS,
    )
