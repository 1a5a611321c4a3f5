"""The audit in write-audit-publish: every batch is checked and the outcome is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from flows.settings import Settings
from validation.gate import check
from warehouse.lake import Lake


def passed(
    settings: Settings, lake: Lake, tables: Mapping[str, pa.Table], batch: str, now: datetime
) -> None:
    """Check each table by the suite of its name and record the results, whatever they are.

    Raises BatchRefused when an expectation fails; the caller then publishes nothing.
    """
    reports = [
        check(suite, table, batch=batch, checked_at=now, docs_root=settings.data_root / "data_docs")
        for suite, table in tables.items()
        if table.num_rows
    ]
    if reports:
        results = pa.concat_tables([report.results for report in reports])
        lake.transact(lambda tx: tx.upsert("checks", results, ("check_id",)))
    for report in reports:
        report.require()
