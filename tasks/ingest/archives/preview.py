"""What an import would do: how a file is read, its first rows, and what is refused and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

FIRST_ROWS = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """How an archive is read, and the outcome for each of its `rows`.

    `reading` says file by file property what was found. `first` are the first rows kept, as read;
    `reasons` count the refused rows, with one of them each.
    """

    reading: Mapping[str, str]
    rows: int
    kept: int = 0
    repeated: int = 0
    first: pa.Table | None = None
    reasons: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """How many rows would go to quarantine."""
        return sum(count for count, _ in self.reasons.values())

    def plus(self, rows: pa.Table, repeated: int, rejects: pa.Table) -> Preview:
        """With one more batch: the rows it keeps, how many it repeats, and its rejects."""
        reasons = dict(self.reasons)
        counted = rejects.group_by("reason").aggregate([("record", "min"), ("record", "count")])
        for found in counted.to_pylist():
            count, example = reasons.get(found["reason"], (0, found["record_min"]))
            reasons[found["reason"]] = (count + found["record_count"], example)
        first = self.first
        if rows.num_rows and (first is None or first.num_rows < FIRST_ROWS):
            first = rows.slice(0, FIRST_ROWS)
        return replace(
            self,
            kept=self.kept + rows.num_rows,
            repeated=self.repeated + repeated,
            first=first,
            reasons=reasons,
        )
