"""Published figures on public benchmarks: what docs, alarm and replication read of the one file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).with_suffix(".toml")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Result(_Entry):
    """Accuracy in percent and MCC, as printed, with their source."""

    accuracy: float = Field(gt=0.0, lt=100.0)
    mcc: float = Field(ge=-1.0, le=1.0)
    source: str = Field(min_length=1)

    def words(self) -> str:
        """`51.30 % / 0.020`."""
        return f"{self.accuracy:.2f} % / {self.mcc:.3f}"


class Rerun(Result):
    """What somebody else got who ran the method again."""


class Figure(Result):
    """One method's figure on one benchmark: `accuracy` in percent, as printed.

    `grade`: primary from the paper that proposes the method, else secondary. `rows`: what is known
    of the rows it is of. `year`: None where the paper was not at hand.
    """

    method: str
    benchmark: str
    year: int | None = Field(default=None, ge=2010)
    inputs: str
    grade: Literal["primary", "secondary"]
    rows: str
    rerun: tuple[Rerun, ...]


class Alarm(_Entry):
    """Accuracy (a share) and MCC above which a result on real data is checked for a leak."""

    accuracy: float = Field(gt=0.5, lt=1.0)
    mcc: float = Field(gt=0.0, lt=1.0)
    reason: str


class Published(_Entry):
    """The whole file."""

    alarm: Alarm
    figure: tuple[Figure, ...]

    def of(self, benchmark: str) -> tuple[Figure, ...]:
        """The figures on one benchmark, in order of accuracy."""
        found = (item for item in self.figure if item.benchmark == benchmark)
        return tuple(sorted(found, key=lambda item: item.accuracy))


PUBLISHED = Published.model_validate(tomllib.loads(FILE.read_text(encoding="utf-8")))


def figures_table() -> str:
    """All figures as a Markdown table, in order of benchmark and accuracy."""
    lines = [
        "| method | benchmark | accuracy / MCC | reads | re-runs | source | grade | rows |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ordered = sorted(PUBLISHED.figure, key=lambda one: (one.benchmark != "stocknet", one.accuracy))
    for item in ordered:
        again = "; ".join(f"{one.words()} ({one.source})" for one in item.rerun) or "none known"
        about = (item.inputs, again, item.source, item.grade, item.rows)
        lines.append("| " + " | ".join((item.method, item.benchmark, item.words(), *about)) + " |")
    return "\n".join(lines)
