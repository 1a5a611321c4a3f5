"""Protocols of the literature: dates, dead band and message window of each public benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Name = Literal["stocknet", "bigdata22", "cikm18"]


class LiteratureError(ValueError):
    """A benchmark's files cannot be used as given; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: which days are labelled how, and which messages a row may read.

    Sessions from `start` train, from `validation_from` validate, from `test_from` test; `end` is
    the first day that is no part of it. A move (adjusted close to adjusted close, a fraction
    rounded to `decimals`) from `dead_band[0]` up to, but not including, `dead_band[1]` is left
    out; a higher one is up, a lower one down. A row reads the messages of the `window` calendar
    days before its session. A message with an instant counts on its day in `message_zone`.
    `source` says where the rule is from.
    """

    name: Name
    start: date
    validation_from: date
    test_from: date
    end: date
    source: str
    dead_band: tuple[float, float] = (-0.005, 0.0055)
    decimals: int = 6
    window: int = 5
    message_zone: str = "Europe/Berlin"


# The released files of StockNet's messages are named by days of central Europe: in the three we
# looked at (AAPL, 2014-01-01, 2014-07-02, 2015-11-11) a day begins between 22:15 and 23:10 UTC in
# winter and between 21:16 and 22:29 in summer.
_STOCKNET = Benchmark(
    "stocknet",
    date(2014, 1, 1),
    date(2015, 8, 1),
    date(2015, 10, 1),
    date(2016, 1, 1),
    source="Xu and Cohen (2018); config.yml and DataPipe.py of yumoxu/stocknet-code",
)
# The authors of both state that they split by time, and no dates; these are those of the prompts
# of FLARE, by which language models are compared on them.
_BIGDATA22 = Benchmark(
    "bigdata22",
    date(2020, 4, 1),
    date(2020, 10, 1),
    date(2020, 11, 2),
    date(2021, 1, 1),
    source="Soun et al. (2022); cut dates of the code that made the prompts of FLARE",
)
_CIKM18 = Benchmark(
    "cikm18",
    date(2017, 1, 3),
    date(2017, 10, 2),
    date(2017, 11, 2),
    date(2018, 1, 1),
    source="Wu et al. (2018); cut dates of the code that made the prompts of FLARE",
)
BENCHMARKS: dict[str, Benchmark] = {item.name: item for item in (_STOCKNET, _BIGDATA22, _CIKM18)}


def benchmark(name: str) -> Benchmark:
    """The benchmark of that name. Raises LiteratureError."""
    if name not in BENCHMARKS:
        raise LiteratureError(
            f"There is no benchmark {name!r}: expected one of {', '.join(BENCHMARKS)}."
        )
    return BENCHMARKS[name]
