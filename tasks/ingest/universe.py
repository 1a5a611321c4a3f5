"""Dated universe membership: read from a file, checked, and the ranges that it makes worth asking.

A file is either a table of intervals (ticker, from, to) or a table of lists (date, all members
from that day on). Membership begins with the session of its first day and ends before that of `to`:
the first day on which the ticker is no member any more, as index changes are announced ("prior to
the open"). A column `through` instead of `to` holds the last day of membership.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from warehouse.lake.scratch import scratch
from warehouse.storage.atomic import file_sha256
from warehouse.tables.batches import REJECTS

Spans = Mapping[str, tuple[tuple[date, date], ...]]
"""Inclusive ranges of dates by symbol, in order."""

MEMBERS = pa.schema(
    [("ticker", pa.string()), ("member_from", pa.date32()), ("member_until", pa.date32())]
)
"""One row per membership; member_until is the first day without it, null: a member still."""

_ROLES = {
    "ticker": ("ticker", "symbol", "tic"),
    "member_from": (
        "from", "start", "start_date", "from_date", "added", "date_added", "member_from",
        "valid_from",
    ),
    "member_until": (
        "to", "end", "end_date", "to_date", "until", "removed", "date_removed", "member_until",
        "valid_to",
    ),
    "through": ("through", "thru", "last", "last_date", "last_day"),
    "day": ("date", "day", "as_of"),
    "names": ("tickers", "members", "constituents", "components", "symbols"),
}  # fmt: skip
_US_EXCHANGES = ("ARCX", "BATS", "XASE", "XNAS", "XNYS")
_EXPECTED = (
    "expected the columns ticker, from and to (one row per membership, `to` empty while it lasts), "
    "or date and tickers (one row per day of change, all members in one quoted cell)"
)


class MembershipError(ValueError):
    """A membership file of which nothing can be used; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class MembershipFile:
    """A membership file as read: `members` (MEMBERS) and what was refused of it.

    `refused` has one row per refused line, or ticker of a line: line, ticker, record, reason.
    """

    name: str
    sha256: str
    members: pa.Table
    refused: pa.Table

    @property
    def tickers(self) -> tuple[str, ...]:
        """Every ticker that ever was a member, in order."""
        return tuple(sorted(self.members["ticker"].unique().to_pylist()))

    def rejects(self) -> pa.Table:
        """What was refused, as rows for the quarantine (REJECTS)."""
        rows = [
            {
                "kind": "membership",
                "source": self.name,
                "key": f"line {row['line']} {row['ticker']}".strip(),
                "reason": row["reason"],
                "record": row["record"],
            }
            for row in self.refused.to_pylist()
        ]
        return pa.Table.from_pylist(rows, schema=REJECTS)

    def words(self) -> str | None:
        """What was refused, in one sentence; None if nothing was."""
        if not self.refused.num_rows:
            return None
        first = self.refused.slice(0, 1).to_pylist()[0]
        return (
            f"{self.refused.num_rows} entries of the membership file are in quarantine, the first "
            f"in line {first['line']} ({first['ticker'] or 'no ticker'}): {first['reason']}. "
            "The others count; correct the file and run again."
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run may ask of a dated universe: inclusive ranges by symbol, for bars and for news.

    `ended`: the first day without membership of each symbol whose last membership is over.
    """

    prices: Spans
    headlines: Spans
    ended: Mapping[str, date] = field(default_factory=dict)

    def within(self, days: tuple[date, date]) -> Asked:
        """The same less what lies outside of the inclusive `days`."""
        return Asked(clipped(self.prices, days), clipped(self.headlines, days), self.ended)


def clipped(spans: Spans, days: tuple[date, date]) -> Spans:
    """The parts of the ranges in the inclusive `days`; a symbol without any is left out."""
    parts = {
        symbol: tuple(
            (max(first, days[0]), min(last, days[1]))
            for first, last in ranges
            if first <= days[1] and last >= days[0]
        )
        for symbol, ranges in spans.items()
    }
    return {symbol: ranges for symbol, ranges in parts.items() if ranges}


def read_memberships(path: Path, exchange: str) -> MembershipFile:
    """The memberships in a CSV file, whatever order, spelling and column names it has.

    Class shares are written as vendors of bars write them: BRK.B is BRK-B on US exchanges. What
    cannot be used of it is in `refused`: blank tickers, days that are none, intervals that end
    before they begin or overlap an earlier one of their ticker. Raises MembershipError when the
    file cannot be read, has other columns, or nothing in it can be used.
    """
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise MembershipError(
            f"The membership file {path} cannot be read ({error.strerror}); {_EXPECTED}. Correct "
            "universe.index; nothing was run."
        ) from error
    return _read(path, digest, exchange)


@lru_cache(maxsize=8)
def _read(path: Path, digest: str, exchange: str) -> MembershipFile:
    lines = _lines(path)
    roles = _roles(lines.column_names, path)
    numbered = lines.append_column("line", pa.array(range(2, lines.num_rows + 2), pa.int64()))
    dashed = exchange in _US_EXCHANGES
    with scratch() as engine:
        if "names" in roles:
            chosen = {"line": numbered["line"], **_columns(numbered, roles, ("day", "names"))}
            engine.read("memberships_of_lists", {"dashed": dashed}, lines=pa.table(chosen))
        else:
            ends = "through" if "through" in roles else "member_until"
            wanted = ("ticker", "member_from", ends)
            chosen = {"line": numbered["line"], **_columns(numbered, roles, wanted)}
            chosen["member_until"] = chosen.pop(ends)
            rules = {"dashed": dashed, "inclusive": ends == "through"}
            engine.read("memberships_of_intervals", rules, lines=pa.table(chosen))
        refused = engine.read("memberships_refused")
        members = engine.read("memberships_accepted").cast(MEMBERS)
    if not members.num_rows:
        found = f"{refused.num_rows} entries, none of them usable"
        if refused.num_rows:
            found += f" (line {refused['line'][0]}: {refused['reason'][0]})"
        raise MembershipError(
            f"The membership file {path} holds {found}; {_EXPECTED}. Correct it; nothing was run."
        )
    return MembershipFile(path.name, digest, members, refused)


def _lines(path: Path) -> pa.Table:
    """All cells of the file as text. Raises MembershipError."""
    body = path.read_bytes()
    encoding = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        text = body.decode("cp1252", errors="replace")
    heading = text.partition("\n")[0]
    mark = max(",;\t", key=heading.count)
    names = [name.strip().strip('"') for name in heading.strip().split(mark)]
    try:
        return pa_csv.read_csv(
            pa.BufferReader(text.encode()),
            parse_options=pa_csv.ParseOptions(delimiter=mark),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        reason = str(error).splitlines()[0]
        raise MembershipError(
            f"The membership file {path} is not a table: {reason}; {_EXPECTED}. Correct it; "
            "nothing was run."
        ) from error


def _roles(names: list[str], path: Path) -> dict[str, str]:
    """Which column has which role. Raises MembershipError if none fit, or two have the same."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        spelled = re.sub(r"[\s-]+", "_", name.strip().lower())
        for role, known in _ROLES.items():
            if spelled in known:
                found[role].append(name)
    lists = {"day", "names"} <= found.keys()
    intervals = {"ticker", "member_from"} <= found.keys() and (
        found.keys() & {"member_until", "through"}
    )
    twice = [columns for columns in found.values() if len(columns) > 1]
    if {"member_until", "through"} <= found.keys():
        twice.append([*found["member_until"], *found["through"]])
    if twice or lists == bool(intervals):
        what = f"{' and '.join(twice[0])}, which mean the same" if twice else ", ".join(names)
        raise MembershipError(
            f"The membership file {path} has the columns {what}; {_EXPECTED}. Rename them there; "
            "nothing was run."
        )
    return {role: columns[0] for role, columns in found.items()}


def _columns(
    table: pa.Table, roles: Mapping[str, str], wanted: tuple[str, ...]
) -> dict[str, pa.ChunkedArray]:
    return {role: table[roles[role]].cast(pa.string()) for role in wanted}


def renames_until(aliases: pa.Table, today: date) -> pa.Table:
    """Former symbols by `today`: former, the symbol that followed in the end, renamed_on.

    `aliases` (ALIASES) names them as `former_symbol`, valid from the day of the renaming.
    """
    with scratch() as engine:
        return engine.read("renames_until", {"today": today}, aliases=aliases)


def asked_of(
    members: pa.Table, renames: pa.Table, today: date, *, before: int, after: int
) -> Asked:
    """The ranges to ask for: each membership and the days around it that examples need.

    `before` and `after` count calendar days. Bars of a renamed ticker are asked for under the
    symbol of `today`, news under that of its day.
    """
    params = {"today": today, "before": before, "after": after}
    with scratch() as engine:
        rows = engine.read("memberships_asked", params, memberships=members, renames=renames)
    spans: dict[str, dict[str, list[tuple[date, date]]]] = {
        kind: defaultdict(list) for kind in ("prices", "headlines")
    }
    ended = {}
    for row in rows.to_pylist():
        spans[row["kind"]][row["symbol"]].append((row["first"], row["last"]))
        if row["ended"] is not None and row["kind"] == "prices":
            ended[row["symbol"]] = row["ended"]
    prices, headlines = (
        {symbol: tuple(found) for symbol, found in spans[kind].items()}
        for kind in ("prices", "headlines")
    )
    return Asked(prices, headlines, ended)
