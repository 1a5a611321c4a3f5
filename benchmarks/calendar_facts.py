"""Writes the facts that calendars are held against: known sessions and closures of every exchange.

Run it in an environment of its own, with the releases that are known to be right:
`pip install exchange_calendars==4.13.2 pandas==3.0.6`, then
`python benchmarks/calendar_facts.py tasks/dataset/spec/calendar_facts.csv`.
"""

from __future__ import annotations

import csv
import sys
from datetime import date, timedelta
from pathlib import Path

import exchange_calendars
import pandas

RIGHT = {"exchange_calendars": "4.13.2", "pandas": "3.0.6"}
FIRST, LAST = date(1990, 1, 1), date(2025, 12, 31)
UNUSUAL = 40


def sessions_of(exchange: str) -> set[date]:
    """The sessions from FIRST to LAST, as far as they are recorded."""
    known = exchange_calendars.get_calendar(exchange)
    low, high = known.bound_min(), known.bound_max()
    first = max(FIRST, low.date()) if low else FIRST
    last = min(LAST, high.date()) if high else LAST
    calendar = exchange_calendars.get_calendar(exchange, start=first, end=last)
    return set(calendar.sessions.date)


def facts_of(sessions: set[date]) -> dict[date, bool]:
    """A closure for each weekday and year, and sessions on weekdays when it mostly rests.

    True: a session.
    """
    facts: dict[date, bool] = {}
    days = [min(sessions) + timedelta(n) for n in range((max(sessions) - min(sessions)).days + 1)]
    for weekday in range(7):
        of_weekday = [day for day in days if day.weekday() == weekday]
        held = [day for day in of_weekday if day in sessions]
        closed = [day for day in of_weekday if day not in sessions]
        usual = len(held) > len(closed)
        if usual:
            # One closure of each year, or the first session of a year without any.
            for year in {day.year for day in of_weekday}:
                found = [day for day in closed if day.year == year]
                facts |= {found[-1]: False} if found else {}
        else:
            facts |= dict.fromkeys(held[:: max(1, len(held) // UNUSUAL)] + held[-5:], True)
    facts |= dict.fromkeys((min(sessions), max(sessions)), True)
    return facts


def main(target: Path) -> None:
    """Write exchange, session and whether it was one, sorted."""
    installed = {
        "exchange_calendars": exchange_calendars.__version__,
        "pandas": pandas.__version__,
    }
    if installed != RIGHT:
        raise SystemExit(f"Expected {RIGHT}, got {installed}: facts come from what is right.")
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["exchange", "day", "is_session"])
        for exchange in sorted(exchange_calendars.get_calendar_names(include_aliases=False)):
            for day, is_session in sorted(facts_of(sessions_of(exchange)).items()):
                writer.writerow([exchange, day, int(is_session)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
