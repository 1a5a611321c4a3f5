"""Files of memberships as people keep them, what is asked for by them, vendors that forget."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.backfill import plan_backfill
from flows.settings import ConfigSelection, ConfigurationError, load_settings
from flows.universe import asked, record_universe
from sandbox.mortality import Death, drawn_deaths, with_deaths
from tasks.ingest.planning import Request, ledger_of, plan_requests
from tasks.ingest.universe import (
    MEMBERS,
    Asked,
    MembershipError,
    asked_of,
    read_memberships,
    renames_until,
)
from tests.builders.forks import REPOSITORY
from warehouse.lake import Lake
from warehouse.tables import schemas
from warehouse.tables.prices import publish_prices

TODAY = date(2024, 1, 2)
D = date.fromisoformat


def read(folder: Path, text: str | bytes, exchange: str = "XNYS") -> Any:
    path = folder / "index.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_memberships(path, exchange)


def rows(file: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in file.members.to_pylist()]


FORMS = {
    "plain": "ticker,from,to\nAMD,1996-01-02,2013-09-23\nAMD,2017-03-20,\nBRK-B,2010-02-16,\n",
    "unsorted, as start and end": (
        "ticker,start_date,end_date\nBRK.B,2010-02-16,\nAMD,2017-03-20,\nAMD,1996-01-02,2013-09-23\n"
    ),
    "byte order mark, semicolons, small letters": (
        "\ufeffSymbol;Date added;Date removed\r\nbrk.b;2010/02/16;NaT\r\n"
        " amd ;1996-01-02;2013-09-23\r\nAMD;20170320;nan\r\n"
    ),
    "utf-16 and tabs": (
        "tic\tfrom\tto\nBRK/B\t2010-02-16\t-\nAMD\t1996-01-02 00:00:00\t2013-09-23T00:00:00\n"
        "AMD\t2017-03-20\t\n"
    ).encode("utf-16"),
    "repeated lines and touching intervals": (
        "ticker,from,to\nAMD,1996-01-02,2000-01-03\nAMD,2000-01-03,2013-09-23\nAMD,2017-03-20,\n"
        "AMD,2017-03-20,\nBRK.B,2010-02-16,\nBRK-B,2010-02-16,\n"
    ),
    "the last day instead of the first one without": (
        "ticker,from,through\nAMD,1996-01-02,2013-09-22\nAMD,2017-03-20,\nBRK-B,2010-02-16,\n"
    ),
    "lists of all members": (
        'date,tickers\n2010-02-16,"AMD,BRK.B"\n1996-01-02,"AMD"\n2013-09-23,"BRK.B"\n'
        '2017-03-20,"BRK.B, AMD,AMD"\n2017-03-20,"BRK.B, AMD,AMD"\n'
    ),
}
"""One universe, written in seven ways."""


@pytest.mark.parametrize("form", FORMS)
def test_one_universe_however_it_is_written(tmp_path: Path, form: str) -> None:
    file = read(tmp_path, FORMS[form])
    assert rows(file) == [
        ("AMD", D("1996-01-02"), D("2013-09-23")),
        ("AMD", D("2017-03-20"), None),
        ("BRK-B", D("2010-02-16"), None),
    ]
    assert file.words() is None
    assert file.tickers == ("AMD", "BRK-B")


def test_a_dot_that_names_the_exchange_stays(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "ticker,from,to\nVOD.L,2010-01-04,\n", "XLON"))[0][0] == "VOD.L"


REFUSED = {
    ",2010-01-04,": "the ticker is blank",
    "NOT A TICKER,2010-01-04,": "the ticker is not a symbol",
    "X,,2011-01-03": "the first day of membership is blank",
    "X,2010-02-30,": "the first day of membership is not a date (YYYY-MM-DD)",
    "X,04/01/2010,": "the first day of membership is not a date (YYYY-MM-DD)",
    "X,0210-01-04,": "the first day of membership is not a date (YYYY-MM-DD)",
    "X,2010-01-04,soon": "the end of membership is not a date (YYYY-MM-DD)",
    "X,2010-01-04,2009-01-05": "the membership ends on or before its first day",
    "X,2010-01-04,2010-01-04": "the membership ends on or before its first day",
    "GOOD,2010-06-01,2012-01-03": "it overlaps an earlier membership of the same ticker",
    "GOOD,2010-01-04,": "it overlaps an earlier membership of the same ticker",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_bad_line_is_refused_with_its_reason_and_the_rest_counts(
    tmp_path: Path, line: str
) -> None:
    file = read(tmp_path, f"ticker,from,to\nGOOD,2010-01-04,2011-01-03\n{line}\nZ,2010-01-04,\n")
    assert file.refused["reason"].to_pylist() == [REFUSED[line]]
    assert file.refused["line"].to_pylist() == [3]
    assert rows(file) == [
        ("GOOD", D("2010-01-04"), D("2011-01-03")),
        ("Z", D("2010-01-04"), None),
    ]
    (reject,) = file.rejects().to_pylist()
    assert (reject["kind"], reject["source"]) == ("membership", "index.csv")
    assert "line 3" in file.words()
    assert "run again" in file.words()


def test_a_bad_list_leaves_the_one_before_it_standing(tmp_path: Path) -> None:
    text = (
        'date,tickers\n2010-01-04,"A,B"\nsoon,"C"\n2011-01-03,""\n2012-01-03,"A,,?,C"\n'
        '2012-01-03,"A,D"\n'
    )
    file = read(tmp_path, text)
    assert rows(file) == [
        ("A", D("2010-01-04"), None),
        ("B", D("2010-01-04"), D("2012-01-03")),
        ("C", D("2012-01-03"), None),
    ]
    assert file.refused["reason"].to_pylist() == [
        "the day of a list is not a date (YYYY-MM-DD)",
        "the list of members is empty",
        "the ticker is blank",
        "the ticker is not a symbol",
        "another list of the same day differs from it",
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is not a table"),
        ("ticker,from,to\n", "holds 0 entries"),
        ("ticker,from,to\n,2010-01-04,\n", r"line 2: the ticker is blank"),
        ("name,sector\nApple,IT\n", r"has the columns name, sector; expected the columns ticker"),
        ("date,add,remove\n2019-01-18,TFX,PCG\n", "has the columns date, add, remove"),
        ("ticker,from,to,end\nA,2010-01-04,,\n", "to and end, which mean the same"),
        ("date,tickers\n2010-01-04,A,B,C\n", "Expected 2 columns, got 4"),
        (b"\x00\x01\x02\xff\xfe", "membership file"),
    ],
)
def test_a_file_that_is_no_membership_is_a_plain_error(
    tmp_path: Path, text: str | bytes, named: str
) -> None:
    with pytest.raises(MembershipError, match=named) as failure:
        read(tmp_path, text)
    assert "nothing was run" in str(failure.value)


def settings_of(folder: Path, text: str, *more: str) -> Any:
    (folder / "my index.csv").write_text(text)
    chosen = ConfigSelection(
        config=REPOSITORY / "newsvane.toml",
        overrides=(
            f"data_root={folder / 'data'}",
            f"universe.index={folder / 'my index.csv'}",
            "sandbox.now=2013-03-02T12:00:00Z",
            *more,
        ),
    )
    return load_settings(chosen.config, chosen.profile, chosen.overrides)


def test_the_configuration_names_a_file_and_takes_its_tickers(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, "ticker,from,to\nIBM,2010-01-04,2011-01-03\nAAPL,2010-01-04,\n"
    )
    assert settings.universe.tickers == ("AAPL", "IBM")
    assert settings.dataset.universe == "my index"
    named = settings_of(tmp_path, "ticker,from,to\nIBM,2010-01-04,\n", "universe.name=sp500")
    assert named.dataset.universe == "sp500"
    with pytest.raises(ConfigurationError, match="has the columns"):
        settings_of(tmp_path, "a,b\n1,2\n")
    (tmp_path / "my index.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"cannot be read.*universe\.index"):
        load_settings(REPOSITORY / "newsvane.toml", None, (f"universe.index={tmp_path}/no.csv",))


def test_recorded_once_and_what_is_refused_is_in_quarantine(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "ticker,from,to\nFB,2012-05-18,\nX,soon,\n")
    with Lake.open(settings.warehouse) as lake:
        now = datetime(2024, 1, 2, tzinfo=UTC)
        (told,) = record_universe(lake, settings, now)
        assert told[0] == "my index"
        assert "1 entries of the membership file are in quarantine" in told[1]
        stored = lake.sql("select * from memberships").to_pylist()
        assert stored == [
            {"universe": "my index", "ticker": "FB", "member_from": D("2012-05-18"),
             "member_until": None}
        ]  # fmt: skip
        renamed = lake.sql("select ticker, alias, valid_from from tickers").to_pylist()
        assert renamed == [{"ticker": "META", "alias": "FB", "valid_from": D("2022-06-09")}]
        again = record_universe(lake, settings, now + timedelta(days=1))
        assert again == (told,)
        assert lake.sql("select count(*) as n from quarantine")["n"].to_pylist() == [1]


def members_of(*given: tuple[str, str, str | None]) -> pa.Table:
    made = [
        {"ticker": ticker, "member_from": D(first), "member_until": until and D(until)}
        for ticker, first, until in given
    ]
    return pa.Table.from_pylist(made, schema=MEMBERS)


def renames_of(*given: tuple[str, str, str], today: date = TODAY) -> pa.Table:
    kind = {"exchange": "XNYS", "kind": "former_symbol"}
    made = [
        {"alias": former, "ticker": ticker, "valid_from": D(on), **kind}
        for former, ticker, on in given
    ]
    return renames_until(pa.Table.from_pylist(made, schema=schemas.TICKERS), today)


def spans_of(members: pa.Table, renames: pa.Table, today: date = TODAY) -> Asked:
    return asked_of(members, renames, today, before=10, after=5)


def test_a_ticker_is_asked_for_while_it_was_a_member_and_a_little_around() -> None:
    found = spans_of(
        members_of(("AMD", "1996-01-02", "2013-09-23"), ("AMD", "2017-03-20", None),
                   ("AMD2", "2010-01-04", "2012-01-03"), ("AMD2", "2012-01-10", "2013-01-03")),
        renames_of(),
    )  # fmt: skip
    assert found.prices["AMD"] == (
        (D("1995-12-23"), D("2013-09-28")), (D("2017-03-10"), D("9999-12-31")),
    )  # fmt: skip
    assert found.prices["AMD2"] == ((D("2009-12-25"), D("2013-01-08")),), "one range, not two"
    assert found.headlines == found.prices
    assert found.ended == {"AMD2": D("2013-01-03")}
    assert found.within((D("2014-01-02"), D("2015-01-02"))).prices == {}
    lately = found.within((D("2013-01-02"), D("2013-01-31")))
    assert lately.prices["AMD2"] == ((D("2013-01-02"), D("2013-01-08")),)


def test_bars_are_asked_for_under_the_symbol_of_today_and_news_under_that_of_its_day() -> None:
    members = members_of(("FB", "2013-12-23", "2022-06-09"), ("META", "2022-06-09", None))
    found = spans_of(members, renames_of(("FB", "META", "2022-06-09")))
    assert found.prices == {"META": ((D("2013-12-13"), D("9999-12-31")),)}
    assert found.headlines == {
        "FB": ((D("2013-12-13"), D("2022-06-08")),),
        "META": ((D("2022-06-09"), D("9999-12-31")),),
    }
    later = members_of(("META", "2013-12-23", None))
    assert spans_of(later, renames_of(("FB", "META", "2022-06-09"))) == found
    before = D("2022-06-01")
    found = spans_of(members, renames_of(("FB", "META", "2022-06-09"), today=before), before)
    assert found.prices["FB"] == ((D("2013-12-13"), D("2022-06-14")),), "it is not renamed yet"


def test_renamings_follow_one_another_and_a_symbol_may_be_taken_again() -> None:
    chain = renames_of(("A", "B", "2010-01-04"), ("B", "C", "2012-01-03"), ("X", "B", "2015-01-02"))
    assert [tuple(row.values()) for row in chain.to_pylist()] == [
        ("A", "C", D("2010-01-04")),
        ("B", "C", D("2012-01-03")),
        ("X", "B", D("2015-01-02")),
    ]
    members = members_of(("B", "2011-01-03", "2012-01-03"), ("B", "2016-01-04", None))
    assert spans_of(members, chain).prices == {
        "B": ((D("2015-12-25"), D("9999-12-31")),),
        "C": ((D("2010-12-24"), D("2012-01-08")),),
    }


def test_a_list_and_a_benchmark_are_asked_for_in_all_of_the_range(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "ticker,from,to\nIBM,2010-01-04,2011-01-03\n")
    days = (D("2012-01-03"), D("2012-06-01"))
    assert asked(settings, None, days, TODAY).prices == {}
    assert asked(settings, ("IBM",), days, TODAY).prices == {}, "a shard of it is no other universe"
    assert asked(settings, ("SPY",), days, TODAY).prices == {"SPY": (days,)}
    lines = "ticker,from,to\nIBM,2010-01-04,2011-01-03\n"
    against = settings_of(tmp_path, lines, "dataset.label.benchmark=SPY")
    assert asked(against, None, days, TODAY).prices == {"SPY": (days,)}
    plain = load_settings(REPOSITORY / "newsvane.toml", None, ('universe.tickers=["IBM"]',))
    assert asked(plain, None, days, TODAY).prices == {"IBM": (days,)}
    requests = plan_requests(("A", "B"), days, {"A": [days]}, 10, {"B": [(days[0], days[0])]})
    assert requests == [Request(("B",), days[0], days[0])]


def test_the_plan_of_a_backfill_costs_nothing_for_who_was_no_member(tmp_path: Path) -> None:
    lines = "ticker,from,to\nIBM,2010-01-04,2011-01-03\nMSFT,2009-01-05,\nAAPL,2012-06-01,\n"
    settings = settings_of(tmp_path, lines)
    days = (D("2010-12-01"), D("2011-06-01"))
    planned = plan_backfill(settings, *days, None, ("prices", "headlines"), force=False)
    ibm_until = D("2011-01-03") + timedelta(days=11)
    assert {(one.what, one.start, one.end, one.keys) for one in planned} == {
        (what, days[0], last, 1)
        for what in ("prices", "headlines")
        for last in (ibm_until, days[1])
    }


NOW = datetime(2013, 3, 1, 22, 30, tzinfo=UTC)
DIED = date(2012, 12, 17)
SPAN = (date(2012, 12, 3), date(2013, 3, 1))


def mortal(yahoo: Any, manner: str) -> None:
    death = Death(
        ticker="IBM", on=DIED, manner=manner, successor="IBMQ" if manner == "renamed" else None
    )
    yahoo.market = with_deaths(yahoo.market, [death])


def test_no_bars_after_a_delisting_are_neither_an_error_nor_missing(yahoo: Any, lake: Lake) -> None:
    mortal(yahoo, "delisted")
    batch = yahoo.fetch(("IBM",), *SPAN, ended={"IBM": DIED})
    publish_prices(lake, batch, now=NOW)
    after = yahoo.ask(("IBM",), (date(2012, 12, 20), SPAN[1]), ended={"IBM": DIED})
    assert after.missing == ()
    (row,) = batch.partitions.to_pylist()
    assert (row["state"], row["expected"], row["received"], row["missing"]) == (
        "done",
        10,
        10,
        None,
    )
    (row,) = after.partitions.to_pylist()
    assert (row["state"], row["again"]) == ("empty", False)


def test_a_name_the_vendor_has_forgotten_fails_no_run_and_is_asked_for_now_and_then(
    yahoo: Any, lake: Lake
) -> None:
    mortal(yahoo, "forgotten")
    batch = yahoo.fetch(("IBM", "MSFT"), *SPAN, ended={"IBM": DIED})
    assert batch.missing == ()
    publish_prices(lake, batch, now=NOW)
    row, other = batch.partitions.to_pylist()
    assert (row["state"], row["rows"], other["state"]) == ("empty", 0, "done")
    assert "may be delisted" in row["error"], "what the vendor said is kept"
    due = ledger_of(lake, "sandbox", NOW + timedelta(days=8)).due
    assert due == {"IBM": [SPAN]}, "bars of its life may still be had some day"
    after = yahoo.ask(("IBM",), (date(2012, 12, 20), SPAN[1]), ended={"IBM": DIED})
    assert after.partitions["again"].to_pylist() == [False], "nothing is to be had from after it"


def test_a_member_the_vendor_does_not_know_is_an_error_as_ever(yahoo: Any) -> None:
    mortal(yahoo, "forgotten")
    batch = yahoo.fetch(("IBM",), *SPAN)
    assert [row["state"] for row in batch.partitions.to_pylist()] == ["failed"]
    just_left = {"IBM": date(2013, 2, 25)}
    batch = yahoo.ask(("IBM",), SPAN, ended=just_left)
    assert [ticker for ticker, _ in batch.missing] == ["IBM"], "two weeks are not over yet"


def test_deaths_are_drawn_by_lot_and_the_price_declines_before() -> None:
    tickers = [f"T{number}" for number in range(9)]
    drawn = drawn_deaths(tickers, 1 / 3, date(2012, 6, 1), date(2012, 9, 1))
    assert drawn == drawn_deaths(tickers[::-1], 1 / 3, date(2012, 6, 1), date(2012, 9, 1))
    assert [death.manner for death in drawn] == ["delisted", "forgotten", "renamed"]
    assert drawn[2].successor == f"{drawn[2].ticker}Q"


def test_a_dead_name_keeps_its_past_at_the_vendor(bokeh: Any) -> None:
    market = with_deaths(bokeh, [Death(ticker="IBM", on=DIED)])
    alive, dead = bokeh.history("IBM"), market.history("IBM")
    assert dead.sessions[-1].item() == date(2012, 12, 14)
    size = len(dead.sessions)
    assert (dead.close[: size - 40] == alive.close[: size - 40]).all()
    assert dead.close[-1] < 0.1 * alive.close[size - 1]
    assert (dead.close[-40:] < dead.open[-40:]).mean() > 0.95
    assert ((dead.low <= dead.close) & (dead.open <= dead.high)).all()
    assert (
        market.history("MSFT") is bokeh.history("MSFT")
        or (market.history("MSFT").close == bokeh.history("MSFT").close).all()
    )
