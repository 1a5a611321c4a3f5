"""A universe of survivors looks better than it was: how much, and that the audit notices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sandbox.market import Market, synthetic_market
from sandbox.mortality import drawn_deaths, with_deaths
from sandbox.newswire import NewsSpec, headlines
from sandbox.spec import Death
from tasks.checks.canaries import audit_survivors, survivors_only
from tasks.checks.lookahead import audit_lookahead
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.ingest.universe import MEMBERS
from warehouse.lake import Lake, sql
from warehouse.tables import schemas
from warehouse.tables.batches import REJECTS
from warehouse.tables.memberships import publish_memberships

FIRST, LAST = date(2018, 1, 2), date(2018, 12, 31)
NOW = datetime(2019, 2, 1, tzinfo=UTC)
NAMES = tuple(f"SB{letter}" for letter in "ABCDEFGHIJKL")
DEATHS = drawn_deaths(NAMES, 1 / 3, date(2018, 4, 2), date(2018, 10, 1))
SPEC = DatasetSpec(universe="mortal")


def filled(lake: Lake, deaths: tuple[Death, ...]) -> None:
    """Bars and news of a market as those who ingested it day by day have them; and its members."""
    market = with_deaths(synthetic_market(NAMES, FIRST, LAST), deaths)
    ends = {death.ticker: death.on for death in deaths}
    lake.transact(lambda tx: tx.append("bars", _bars(market)))
    told = _of_their_days(headlines(market, NewsSpec(coverage=0.5)), "published_at", market)
    ids, size = told["guid"], told.num_rows
    columns = {
        "headline_id": ids, "story_id": ids, "title": told["title"],
        **dict.fromkeys(("published_at", "first_seen_at", "available_at"), told["published_at"]),
        **{name: pa.repeat(value, size) for name, value in {
            "source": "wire", "granularity": "second", "availability": "asserted",
            "synthetic": True, "payload_id": "none", "revision": pa.scalar(1, pa.int32()),
        }.items()},
    }  # fmt: skip
    about = {"headline_id": ids, "ticker": told["ticker"], "method": pa.repeat("declared", size)}
    lake.transact(
        lambda tx: (
            tx.append("headlines", pa.table(columns)),
            tx.append("headline_tickers", pa.table(about)),
        )
    )
    rows = [
        {"ticker": ticker, "member_from": FIRST, "member_until": ends.get(ticker)}
        for ticker in NAMES
    ]
    publish_memberships(
        lake, "mortal", pa.Table.from_pylist(rows, schema=MEMBERS),
        renamed=schemas.TICKERS.empty_table(), rejects=REJECTS.empty_table(), now=NOW,
    )  # fmt: skip
    refresh_examples(lake, SPEC, now=NOW)


def _bars(market: Market) -> pa.Table:
    found = _of_their_days(market.bars, "session", market)
    size = found.num_rows
    constants: dict[str, Any] = {
        "vendor_adj_close": pa.nulls(size, pa.float64()), "basis_date": found["session"],
        "source": pa.repeat("test", size), "payload_id": pa.repeat("none", size),
        "recorded_at": pa.repeat(pa.scalar(NOW, pa.timestamp("us", tz="UTC")), size),
        "vintage": pa.repeat(pa.scalar(1, pa.int32()), size),
    }  # fmt: skip
    return pa.table({**{name: found[name] for name in found.column_names}, **constants})


def _of_their_days(rows: pa.Table, column: str, market: Market) -> pa.Table:
    """The rows of each ticker from the days on which it bore that name."""
    days = rows[column].cast(pa.date32())
    kept = pa.scalar(False)
    for listing in market.listings:
        own = pc.equal(rows["ticker"], listing.ticker)
        own = pc.and_(own, pc.greater_equal(days, listing.since or date.min))
        kept = pc.or_(kept, pc.and_(own, pc.less(days, listing.until or date.max)))
    return rows.filter(kept)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory, open_lake) -> Iterator[Lake]:
    """A year of twelve names, of which four decline and end."""
    with open_lake(tmp_path_factory.mktemp("mortal")) as lake:
        filled(lake, DEATHS)
        yield lake


def audit(lake: Lake, spec: DatasetSpec = SPEC) -> Any:
    return audit_lookahead(lake, spec, checks=("survivorship",))


def test_the_honest_universe_is_not_blamed(mortal) -> None:
    assert {death.manner for death in DEATHS} == {"delisted", "forgotten", "renamed"}
    report = audit_lookahead(mortal, SPEC, moments=1, plants=5)
    assert report.passed, report.words()
    assert "passed  survivorship" in report.words()


def test_survivors_go_up_more_often_than_the_members_of_the_day(mortal) -> None:
    """The bias is what the dying lost: 40 sessions of decline each, half of them with news."""
    seen = audit_survivors(mortal, SPEC)
    assert survivors_only(lambda: seen).passed, survivors_only(lambda: seen).words
    assert seen.honest
    assert not seen.filtered
    assert seen.survivors_up - seen.up > 0.02, seen
    query = (
        "select avg((label = 'up')::int) as up from examples where label is not null"
        " and spec_id = $id and list_contains($gone, ticker)"
    )
    gone = [death.ticker for death in DEATHS]
    dying = mortal.sql(query, {"id": SPEC.spec_id, "gone": gone})["up"][0].as_py()
    assert dying < 0.4


def test_a_list_filtered_to_who_is_left_is_blamed(mortal) -> None:
    alive = tuple(name for name in NAMES if name not in {death.ticker for death in DEATHS})
    report = audit(mortal, SPEC.model_copy(update={"tickers": alive}))
    assert not report.passed
    assert "no example of a member that left later" in report.words()


def test_a_list_without_dates_says_that_nobody_can_tell(mortal) -> None:
    report = audit(mortal, DatasetSpec())
    assert report.passed
    assert "noted  survivorship: the tickers are one list" in report.words()


LEAKS = {
    "members_are_those_of_today": (
        "universe_members", "WHERE m.universe", "WHERE m.member_until IS NULL AND m.universe",
        "no example of a member that left later",
    ),
    "the_end_of_losers_is_cut_off": (
        "universe_members", "c.session < coalesce(m.member_until, 'infinity'::DATE)",
        "c.session < coalesce(m.member_until - 60, 'infinity'::DATE)",
        "no example of a member that left later",
    ),
    "nobody_asks_who_is_a_member": (
        "examples_placed", "WHERE $universe IS NOT NULL AND", "WHERE false AND",
        "an example of a ticker that was no member",
    ),
    "membership_counts_a_week_longer": (
        "universe_members", "c.session < coalesce(m.member_until, 'infinity'::DATE)",
        "c.session < coalesce(m.member_until + 7, 'infinity'::DATE)",
        "an example of a ticker that was no member",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def leaving(tmp_path_factory: pytest.TempPathFactory, open_lake) -> Iterator[Lake]:
    """The same market, in which all live on, and four leave the index on those days."""
    with open_lake(tmp_path_factory.mktemp("leaving")) as lake:
        filled(lake, ())
        rows = [
            {"ticker": ticker, "member_from": FIRST, "member_until": until}
            for ticker in NAMES
            for until in [next((d.on for d in DEATHS if d.ticker == ticker), None)]
        ]
        publish_memberships(
            lake, "mortal", pa.Table.from_pylist(rows, schema=MEMBERS),
            renamed=schemas.TICKERS.empty_table(), rejects=REJECTS.empty_table(), now=NOW,
        )  # fmt: skip
        refresh_examples(lake, SPEC, now=NOW)
        yield lake


def test_members_that_left_alive_are_not_blamed_either(leaving) -> None:
    report = audit(leaving)
    assert report.passed, report.words()


@pytest.mark.parametrize("name", LEAKS)
def test_audit_catches(name: str, leaving) -> None:
    statement, old, new, what = LEAKS[name]
    text = sql.statement(statement).text
    assert old in text, f"the leak no longer fits the pipeline: {old}"
    with sql.override(statement, text.replace(old, new)):
        report = audit(leaving)
    assert not report.passed, report.words()
    assert what in report.words()
