"""What commands show of their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.cli.progress import progress_bars
from flows.cli.tables import say, shape, show_rows, show_table
from flows.platform.display import verdict_table
from tasks.evaluation.verdict import interval_in_words, share_in_words

if TYPE_CHECKING:
    from flows.backfill import PlannedRange
    from flows.jobs import Outcome
    from flows.platform.display import IngestSummary
    from flows.replication import Replication
    from flows.settings import Settings
    from tasks.dataset.spec.manifest import DatasetManifest
    from tasks.evaluation.evaluate import Evaluation
    from tasks.ingest.archives.preview import Preview
    from tasks.training.job import FinetuneResult

LOSSES = {"completion_ce": "whole completion", "label_ce": "label tokens", "pair_ce": "up or down"}


def show_ingest(summary: IngestSummary) -> None:
    """Print what an ingest did, what was missing and why, and what other vendors filled in."""
    say(
        f"{summary.start} to {summary.end}: {summary.requests:,} requests, {summary.bars:,} bars, "
        f"{summary.actions:,} actions, {summary.headlines:,} headlines, "
        + (f"{summary.features:,} rows of own columns, " if summary.features else "")
        + f"{summary.quarantined:,} quarantined."
    )
    told = (("missing", summary.missing), ("partial", summary.partial), ("vendors", summary.notes))
    for kind, found in told:
        for key, reason in found:
            say(f"[yellow]{kind}[/] ", end="")
            say(f"{key}: {reason}", markup=False, highlight=False)
    if summary.rows:
        kept = summary.bars + summary.actions + summary.headlines + summary.features
        _show_reading(summary.reading)
        _show_rows(summary.rows, kept, summary.repeated, summary.refused)
        for reason, count in sorted(summary.reasons.items()):
            say(f"{count:,} × {reason}", markup=False)


def _show_reading(reading: Mapping[str, str]) -> None:
    for name, words in reading.items():
        say(f"{name}: {words}", markup=False, highlight=False)


def _show_rows(rows: int, kept: int, repeated: int, refused: int) -> None:
    say(
        f"{rows:,} rows in the file = {kept:,} kept + {repeated:,} repeated + "
        f"{refused:,} quarantined"
    )
    if rows != kept + repeated + refused:
        say("[red]The sums differ: please report this, with the file's first lines.[/]")


def show_preview(preview: Preview) -> None:
    """Print how a file would be read, its first rows, and what would be refused."""
    _show_reading(preview.reading)
    if preview.first is not None:
        show_table(preview.first, "first rows as read")
    _show_rows(preview.rows, preview.kept, preview.repeated, preview.refused)
    for reason, (count, example) in sorted(preview.reasons.items()):
        say(f"{count:,} × {reason}, such as {example[:300]}", markup=False)
    say("Nothing was imported: this was a dry run.")


def run_ingest(run: Callable[[], IngestSummary]) -> None:
    """Show progress bars while an ingest runs, then what it did.

    Raises IncompleteIngestError when something was missing.
    """
    with progress_bars():
        summary = run()
    show_ingest(summary)
    summary.require_complete()


def chosen_dataset(settings: Settings, wanted: str | None) -> str:
    """The id of the data set that a command works on, which it says on standard error.

    Raises NoDatasetError.
    """
    from flows.connections import find_dataset

    found = find_dataset(settings, wanted).dataset_id
    Console(stderr=True).print(f"data set {found}", highlight=False)
    return found


def show_dataset(manifest: DatasetManifest) -> None:
    """Print a data set's identity, its splits and what was left out."""
    from tasks.dataset.spec.manifest import HOLDOUT
    from tasks.dataset.spec.split import FINAL

    rows = [
        {
            "split": name,
            "rows": split.rows,
            "up": split.up,
            "down": split.down,
            "sessions": split.sessions,
            "from": split.first_session,
            "to": split.last_session,
        }
        for name, split in manifest.splits.items()
    ]
    show_rows(rows, f"data set {manifest.dataset_id}")
    if FINAL in manifest.splits:
        say(HOLDOUT, markup=False)
    for reason, left in sorted(manifest.dropped.items()):
        say(f"left out: {left:,} {reason}")


def show_model(result: FinetuneResult) -> None:
    """Print a fine-tuned model's identity and its cross-entropy before and after."""
    say(f"model {result.model_id} ({result.recipe_name}, seed {result.seed})")
    before, after = (result.metrics.get(f"validation_{when}", {}) for when in ("before", "after"))
    for key, name in LOSSES.items():
        if before.get(key) is not None and after.get(key) is not None:
            say(f"validation cross-entropy, {name}: {before[key]:.4f} → {after[key]:.4f} nats")
    say(str(result.path), soft_wrap=True)


def show_verdict(outcome: Evaluation, what: str = "test split") -> None:
    """Print the verdict table, the verdict in words and what the robustness checks showed."""
    show_rows(verdict_table(outcome), f"{what}, 95% intervals by sessions", break_before=" [")
    for verdict in outcome.verdicts[:1] if what == "test split" else outcome.verdicts:
        say(verdict.words)
    for note in outcome.notes:
        say(f"- {note}", markup=False)


def show_replication(outcome: Replication) -> None:
    """Print the rows, every method with its interval, and what the comparison says."""
    rows = [
        {"split": split, "rows": total, "up": ups, "down": total - ups}
        for split, (total, ups) in outcome.splits.items()
    ]
    show_rows(rows, f"rows of {outcome.benchmark}")
    methods = [
        {
            "method": item.method,
            "seeds": len(item.seeds["accuracy"]),
            "accuracy": share_in_words(item.mean["accuracy"]),
            "MCC": interval_in_words(item.mean["mcc"]),
            "accuracy of the seeds": ", ".join(f"{100 * x:.1f}" for x in item.seeds["accuracy"]),
        }
        for item in outcome.results
    ]
    show_rows(methods, "mean over seeds, 95% intervals by sessions", break_before=" [")
    for line in outcome.words:
        say(f"- {line}", markup=False, highlight=False)
    say(f"rows and predictions: {outcome.folder}", soft_wrap=True)


def show_outcome(outcome: Outcome) -> None:
    """Print what each step of the whole job produced, and where the report is."""
    show_ingest(outcome.ingested)
    show_dataset(outcome.dataset)
    show_model(outcome.model)
    show_verdict(outcome.evaluation)
    say(f"report: {outcome.report}", soft_wrap=True)


def show_plan(plan: Sequence[PlannedRange]) -> None:
    """Print what a backfill would request, and an estimate of how long that takes."""
    from flows.backfill import SECONDS_PER_REQUEST

    asked, waiting = [item for item in plan if item.requests], [item for item in plan if item.waits]
    for item in waiting:
        where = f"{item.source} {item.start} to {item.end}"
        say(f"not yet due: {where}: {item.waits}", markup=False, highlight=False)
    if not asked:
        say("Nothing is due." if waiting else "Nothing is missing.")
        return
    rows = [
        {
            "what": item.what,
            "source": item.source,
            "from": item.start,
            "to": item.end,
            "tickers": item.keys,
            "requests": item.requests,
        }
        for item in asked
    ]
    show_rows(rows, "backfill plan")
    requests = sum(item.requests for item in asked)
    say(f"{requests:,} requests, about {requests * SECONDS_PER_REQUEST:,.0f} s.")


def show_record(record: Any) -> None:
    """Print a dataclass, one field a line; mappings as indented JSON."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    if shape() != "text":
        show_rows([values])
        return
    for name, value in values.items():
        text = json.dumps(value, indent=2, default=str) if isinstance(value, dict) else str(value)
        say(f"[bold]{name}[/]: ", end="")
        say(text, markup=False, highlight=False)
