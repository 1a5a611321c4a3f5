"""What an ingest did, told in numbers and as Prefect artifacts."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict

from flows.platform.plain_text import plain


class IncompleteIngestError(RuntimeError):
    """Something asked for could not be had; all the rest was published."""


class IngestSummary(BaseModel):
    """Rows that one ingest added or revised over an inclusive date range.

    `checked` counts the expectations that the gate examined; all of them held.

    `missing` names each thing asked for that could not be had, and why.
    """

    model_config = ConfigDict(frozen=True)

    start: date
    end: date
    requests: int = 0
    bars: int = 0
    actions: int = 0
    headlines: int = 0
    quarantined: int = 0
    checked: int = 0
    missing: tuple[tuple[str, str], ...] = ()

    def plus(self, other: IngestSummary) -> IngestSummary:
        """Both summaries as one, over this one's range."""
        return IngestSummary(
            start=self.start,
            end=self.end,
            requests=self.requests + other.requests,
            bars=self.bars + other.bars,
            actions=self.actions + other.actions,
            headlines=self.headlines + other.headlines,
            quarantined=self.quarantined + other.quarantined,
            checked=self.checked + other.checked,
            missing=self.missing + other.missing,
        )

    def table(self) -> list[dict[str, str]]:
        """The summary as rows for a Prefect table artifact."""
        counts = ("requests", "bars", "actions", "headlines", "quarantined")
        rows = [{"what": name, "count": f"{getattr(self, name):,}"} for name in counts]
        return rows + [
            {"what": f"missing: {plain(key)}", "count": plain(error)} for key, error in self.missing
        ]

    def require_complete(self) -> None:
        """Raises IncompleteIngestError, naming each thing that is missing and why."""
        if self.missing:
            told = "; ".join(f"{key}: {error}" for key, error in self.missing[:5])
            more = f"; and {len(self.missing) - 5} more" if len(self.missing) > 5 else ""
            raise IncompleteIngestError(
                f"{len(self.missing)} of what was asked for could not be had: {told}{more}. "
                "All the rest was published and the ledger holds these as failed. Correct the "
                "ticker or feed in newsvane.toml, or run the same command later to retry only them."
            )
