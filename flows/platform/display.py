"""What runs show, on a terminal as in the Prefect UI: progress, plain text, tables, links.

Nothing here needs Prefect.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from flows.settings import Settings
    from tasks.evaluation.evaluate import Evaluation
    from tasks.training.job import Progress

LONGEST = 400
_SHOWN, _SHOWN_KEYS = 5, 3
_INERT = str.maketrans({"<": "‹", ">": "›", "`": "'", "|": "¦", "[": "(", "]": ")", "!": "."})
_SCHEME = re.compile(r"\b(\w+)://|\b(javascript|data|vbscript):", re.IGNORECASE)
_KEY = re.compile(r"(\S+ )?(\S+)( \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d)?")
"""What something is said of: a ticker, with its source before it and days behind it, if given."""
_ADDRESS = re.compile(r"\bhttps?://\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
SERVED = ("data_docs", "report")
"""What the site serves of the data root besides the site itself."""
VERDICT_METRICS = ("accuracy", "auroc", "cross_entropy")
"""Few enough to fit a terminal of 80 columns; the report shows all of them."""


class ProgressSink(Protocol):
    """Receives progress. `total` may be unknown; `done` never shrinks within one stage."""

    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Report that `done` of `total` units of `stage` are finished."""


class _Silent:
    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        pass


_sink: ContextVar[ProgressSink] = ContextVar("progress_sink", default=_Silent())  # noqa: B039 - stateless


def current_sink() -> ProgressSink:
    """The sink of the running command; silent when nobody watches (a scheduled run)."""
    return _sink.get()


@contextmanager
def shown_on(sink: ProgressSink) -> Iterator[None]:
    """Send the progress of everything inside to `sink`."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def report_progress(event: Progress) -> None:
    """Pass the training process's progress on to whoever watches."""
    speed = event.metrics.get("tokens_per_second")
    loss = event.metrics.get("loss")
    notes = [f"loss {loss:.3f}"] if loss is not None else []
    notes += [f"{speed:,.0f} tokens/s"] if speed is not None else []
    current_sink().advance(event.stage, event.done, event.total, ", ".join(notes))


def plain(text: str) -> str:
    """One line of at most LONGEST characters in which nothing is a tag, a link or a command."""
    line = _CONTROL.sub(" ", text).translate(_INERT)
    line = _SCHEME.sub(lambda found: f"{found[1] or found[2]}∶", line).strip()
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def link_to(settings: Settings, path: Path) -> str:
    """The address of a page below the data root. A browser opens file: links only by hand."""
    inside = path.resolve().relative_to(settings.data_root.resolve()).as_posix()
    try:
        site = json.loads((settings.data_root / "stack.json").read_text(encoding="utf-8"))["site"]
    except (OSError, ValueError, KeyError):
        return path.resolve().as_uri()
    return f"{site}/{inside.removeprefix('site/')}"


class IncompleteIngestError(RuntimeError):
    """Something requested could not be had; all the rest was published."""


class IngestSummary(BaseModel):
    """Rows that one ingest added or revised over an inclusive date range.

    `checked` counts the expectations that the gate examined; all of them held. `missing` names
    each thing requested that could not be had, and why; `partial` each range that came with
    something missing, and what becomes of it; `offline` says that no host at all answered, if so;
    `notes` what other vendors of prices did for the first one. Of the `rows` of an imported file
    each is kept (a bar, a headline, a row of own columns: `features`), `repeated` (tells what is
    known) or `refused`, for one of `reasons`. `reading` says how the file was read.
    """

    model_config = ConfigDict(frozen=True)

    start: date
    end: date
    requests: int = 0
    bars: int = 0
    actions: int = 0
    headlines: int = 0
    features: int = 0
    quarantined: int = 0
    checked: int = 0
    missing: tuple[tuple[str, str], ...] = ()
    partial: tuple[tuple[str, str], ...] = ()
    offline: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    repeated: int = 0
    refused: int = 0
    reasons: Mapping[str, int] = Field(default_factory=dict)
    reading: Mapping[str, str] = Field(default_factory=dict)

    @property
    def lacking(self) -> tuple[tuple[str, str], ...]:
        """All that is missing, whole or in part, led by the network if that is."""
        return (*self._network, *self.missing, *self.partial)

    @property
    def _network(self) -> tuple[tuple[str, str], ...]:
        return (("network", self.offline),) if self.offline else ()

    def plus(self, other: IngestSummary) -> IngestSummary:
        """Both summaries as one, over this one's range."""
        return IngestSummary(
            start=self.start,
            end=self.end,
            requests=self.requests + other.requests,
            bars=self.bars + other.bars,
            actions=self.actions + other.actions,
            headlines=self.headlines + other.headlines,
            features=self.features + other.features,
            quarantined=self.quarantined + other.quarantined,
            checked=self.checked + other.checked,
            missing=self.missing + other.missing,
            partial=self.partial + other.partial,
            offline=self.offline or other.offline,
            notes=self.notes + other.notes,
            rows=self.rows + other.rows,
            repeated=self.repeated + other.repeated,
            refused=self.refused + other.refused,
            reasons=dict(Counter(self.reasons) + Counter(other.reasons)),
            reading={**self.reading, **other.reading},
        )

    def table(self) -> list[dict[str, str]]:
        """The summary as rows for a Prefect table artifact."""
        counts = ["requests", "bars", "actions", "headlines"]
        counts += ["features", "quarantined"] if self.features else ["quarantined"]
        counts += ["rows", "repeated", "refused"] if self.rows else []
        rows = [{"what": name, "count": f"{getattr(self, name):,}"} for name in counts]
        lacking = (
            ("missing", (*self._network, *self.missing)),
            ("partial", self.partial),
            ("vendors", self.notes),
        )
        return rows + [
            {"what": f"{kind}: {plain(key)}", "count": plain(words)}
            for kind, found in lacking
            for key, words in together(found)
        ]

    def require_complete(self) -> None:
        """Raises IncompleteIngestError, naming each thing that is missing and why."""
        if self.missing:
            raise IncompleteIngestError(
                f"{len(self.missing)} of what was asked for could not be had: "
                f"{_listed(self.lacking)}. All the rest was published and the ledger holds these "
                "as failed or partial. Correct the ticker or feed in newsvane.toml, or run the "
                "same command later to retry only them."
            )
        if self.partial:
            raise IncompleteIngestError(
                f"{len(self.partial)} of the ranges asked for came with something missing: "
                f"{_listed(self.partial)}. What came was published; run the same command later, or "
                "`newsvane daily` every day, to ask again for what is missing."
            )


def together(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is said of several keys in the same words, said once: (keys, words), in order.

    A source that died is one line, not one a ticker: the words are those of its first key, others'
    may differ in the address that was asked, or in the ticker itself.
    """
    said: dict[tuple[str, str, str], tuple[str, dict[str, None]]] = {}
    for key, words in found:
        parts = _KEY.fullmatch(key)
        lead, own, days = parts.groups("") if parts else ("", key, "")
        likeness = re.sub(rf"\b{re.escape(own)}\b", "", _ADDRESS.sub("", words))
        said.setdefault((lead, days, likeness), (words, {}))[1][own] = None
    return [
        (f"{lead}{_in_few(list(keys))}{days}", words)
        for (lead, days, _), (words, keys) in said.items()
    ]


def _in_few(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return f"{', '.join(keys[:_SHOWN_KEYS])}{more}"


def _listed(found: Sequence[tuple[str, str]]) -> str:
    """The first of them in one sentence, each in the same words once."""
    said = together(found)
    more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return "; ".join(f"{keys}: {words}" for keys, words in said[:_SHOWN]) + more


def verdict_table(outcome: Evaluation) -> list[dict[str, str]]:
    """One row per predictor: its headline metrics on the whole test split, with intervals."""
    table: dict[str, dict[str, str]] = {}
    for row in outcome.rows.to_pylist():
        own = row["slice"] == "all" and row["baseline"] is None
        if own and row["metric"] in VERDICT_METRICS:
            cells = table.setdefault(row["predictor"], {"predictor": row["predictor"]})
            cells[row["metric"]] = _with_interval(row)
    return list(table.values())


def _with_interval(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return "–"
    if row["ci_low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
