"""Runs a backfill or a daily run in a forked child for each line that it is sent."""

from __future__ import annotations

import exchange_calendars  # noqa: F401 - imported before the fork, so that children start at once
import great_expectations  # noqa: F401
import yfinance  # noqa: F401

from flows.backfill import backfill
from flows.jobs import daily
from flows.settings import ConfigSelection
from tests.builders.forks import serve

FLOWS = {"backfill": backfill, "daily": daily}


def run(flow: str, selection: dict[str, object], parameters: dict[str, object]) -> None:
    FLOWS[flow](selection=ConfigSelection.model_validate(selection), **parameters)


if __name__ == "__main__":
    serve(run)
