"""Agreement of vendors on their bars: who gave what, and who drifts away from the others."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from tasks.ingest.prices.spec import PriceSpec
from warehouse.lake import ReadSql


def vendors_check(read: ReadSql, spec: PriceSpec, since: date) -> pa.Table:
    """One row per source whose bars were kept beside another's, from the session `since` on.

    Columns are those of the statement `vendors_check`.
    """
    return read(
        "vendors_check",
        {
            "since": since,
            "tolerance": spec.tolerance,
            "drift_sessions": spec.drift_sessions,
            "drift_share": spec.drift_share,
        },
    )


def drift_alarms(found: pa.Table, spec: PriceSpec) -> tuple[tuple[str, str], ...]:
    """Each drifting source of a `vendors_check`, with what to do about it."""
    return tuple(
        (
            row["source"],
            f"disagrees with the bars held in {row['recently_disagreed']} of the "
            f"{row['recently_compared']} bars of its latest {spec.drift_sessions} sessions by "
            f"more than {spec.tolerance:.2%}; expected at most {spec.drift_share:.0%} of them. "
            "See bar_comparisons for both values, and whether its unit, share basis or symbol has "
            "changed",
        )
        for row in found.to_pylist()
        if row["drifting"]
    )
