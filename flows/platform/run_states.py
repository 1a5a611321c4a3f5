"""How a run ends that did not fail, when whoever looks should see that it was no ordinary one.

The names of these states are shown in the UI, and automations can wait for them
(`prefect.flow-run.Incomplete`). Whoever called the flow gets the summary as ever.
"""

from __future__ import annotations

from typing import cast

from prefect.states import Completed

from flows.platform.plain_text import plain
from flows.platform.summary import IngestSummary

SKIPPED = "Skipped"
INCOMPLETE = "Incomplete"


def skipped(summary: IngestSummary, reason: str) -> IngestSummary:
    """What a flow returns that had nothing to do today."""
    return _named(SKIPPED, summary, reason)


def ended(summary: IngestSummary) -> IngestSummary:
    """What a flow returns that did its work; `Incomplete` when something could not be had."""
    if not summary.missing:
        return summary
    told = "; ".join(f"{plain(key)}: {plain(error)}" for key, error in summary.missing[:5])
    return _named(INCOMPLETE, summary, f"{len(summary.missing)} could not be had: {told}")


def _named(name: str, summary: IngestSummary, message: str) -> IngestSummary:
    # Prefect unwraps a returned state, so the caller sees the summary that is in it.
    return cast(IngestSummary, Completed(name=name, message=message, data=summary))
