"""Calendars and templates, the pure parts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from tasks.dataset.spec.clock import CalendarError, ClockSpec, exchange_sessions
from tasks.dataset.spec.render import EXAMPLE_FIELDS, RenderSpec, TemplateError, positional


def hours(exchange: str, day: date) -> tuple[datetime, datetime]:
    (row,) = exchange_sessions(exchange, day, day).to_pylist()
    return row["open_ts"], row["close_ts"]


def test_daylight_saving_and_half_days_move_the_hours_in_utc() -> None:
    winter, summer = hours("XNYS", date(2019, 3, 8)), hours("XNYS", date(2019, 3, 11))
    assert (winter[0].hour, summer[0].hour) == (14, 13)
    half = hours("XNYS", date(2019, 11, 29))
    assert half[1] == datetime(2019, 11, 29, 18, tzinfo=UTC)


def test_a_tokyo_session_opens_at_midnight_utc_on_its_own_date() -> None:
    assert hours("XTKS", date(2019, 3, 5))[0] == datetime(2019, 3, 5, 0, tzinfo=UTC)


def test_adhoc_closures_have_no_session() -> None:
    sessions = exchange_sessions("XNYS", date(2001, 9, 10), date(2001, 9, 17))
    assert sessions["session"].to_pylist() == [date(2001, 9, 10), date(2001, 9, 17)]


def test_sessions_reach_back_beyond_twenty_years() -> None:
    assert exchange_sessions("XNYS", date(1990, 1, 2), date(1990, 1, 2)).num_rows == 1


def test_a_weekend_is_an_empty_table() -> None:
    assert exchange_sessions("XNYS", date(2019, 3, 9), date(2019, 3, 10)).num_rows == 0


def test_unknown_exchange_and_reversed_range_are_named() -> None:
    with pytest.raises(CalendarError, match="NOPE"):
        exchange_sessions("NOPE", date(2019, 1, 1), date(2019, 2, 1))
    with pytest.raises(CalendarError, match="must not be after"):
        exchange_sessions("XNYS", date(2019, 2, 1), date(2019, 1, 1))


def test_lead_is_bounded() -> None:
    with pytest.raises(ValidationError, match="12 hours"):
        ClockSpec(lead=timedelta(days=1))


def test_template_places_become_numbers_and_braces_stay_braces() -> None:
    assert positional("{ticker}: {{x}} {headlines}", EXAMPLE_FIELDS) == "{0}: {{x}} {2}"


@pytest.mark.parametrize("bad", ["{nobody}", "{ticker!r}", "{ticker:>9}", "{ticker.x}", "{", "{}"])
def test_template_with_anything_but_names_is_refused(bad: str) -> None:
    with pytest.raises(TemplateError):
        positional(bad, EXAMPLE_FIELDS)
    with pytest.raises(ValidationError):
        RenderSpec(template=bad)
