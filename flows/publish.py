"""Write-audit-publish: a batch is validated, the outcome recorded, and what passed committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from threading import Lock

import pyarrow as pa
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from flows.platform.display import IngestSummary, link_to, plain
from flows.settings import Settings
from tasks.dataset.spec.clock import calendar_version, calendar_years
from tasks.ingest.planning import DateRange
from tasks.ingest.spec import UniverseSpec
from validation.gate import CheckReport, check
from warehouse.lake import Lake
from warehouse.tables.batches import Batch, FeatureBatch, HeadlineBatch, PriceBatch
from warehouse.tables.features import publish_features
from warehouse.tables.headlines import publish_headlines
from warehouse.tables.prices import publish_prices
from warehouse.tables.sessions import publish_sessions

MARGIN = timedelta(days=45)
EVER = date(1900, 1, 1)

_DOCUMENTED: set[tuple[str, str]] = set()
_TAKING_TURNS = Lock()


def record_sessions(
    lake: Lake,
    universe: UniverseSpec,
    tickers: Sequence[str],
    wanted: DateRange,
    now: datetime,
    exchanges: Mapping[str, str] | None = None,
) -> None:
    """Publish the exchanges' sessions around a range, and which exchange each ticker is on.

    Tickers that `exchanges` lacks are on the universe's. The sessions reach past the range's end
    and past `now` (UTC): a decision belongs to one yet to come.
    """
    places = [(exchanges or {}).get(ticker, universe.exchange) for ticker in tickers]
    publish_calendars(lake, {universe.exchange, *places}, wanted, now)
    size = len(tickers)
    symbols = pa.table(
        {
            "ticker": pa.array(tickers, pa.string()),
            "exchange": pa.array(places, pa.string()),
            "alias": pa.array(tickers, pa.string()),
            "kind": pa.array(["symbol"] * size, pa.string()),
            "valid_from": pa.array([EVER] * size, pa.date32()),
            "valid_to": pa.array([None] * size, pa.date32()),
        }
    )
    lake.transact(lambda tx: tx.upsert("tickers", symbols, ("ticker", "alias", "valid_from")))


def publish_calendars(
    lake: Lake, exchanges: Iterable[str], wanted: DateRange, now: datetime
) -> None:
    """Publish the sessions of exchanges around a range and past `now`; raises CalendarError."""
    around = (wanted[0] - MARGIN, max(wanted[1], now.date()) + MARGIN)
    publish_sessions(lake, dict.fromkeys(exchanges, around), calendar_years, calendar_version())


def publish_price_batch(
    settings: Settings, lake: Lake, batch: PriceBatch, name: str, days: DateRange, now: datetime
) -> IngestSummary:
    """Publish bars and actions in one commit, and tell what that changed over `days`.

    Raises BatchRefused when an expectation fails; nothing is then published.
    """
    checked = _validate(settings, lake, {"bars": batch.bars, "actions": batch.actions}, name, now)
    published = publish_prices(lake, batch, now=now)
    bars = published.bars_added + published.bars_revised
    actions = published.actions_added + published.actions_revised
    conflicts = published.bars_refused + published.actions_refused
    given = batch.bars.num_rows + batch.actions.num_rows
    return IngestSummary(
        start=days[0],
        end=days[1],
        bars=bars,
        actions=actions,
        partial=tuple(
            (
                row["ticker"],
                f"{row['source']} no longer gives its {row['kind']} of {row['ex_date']}"
                f" ({row['value']:g}); it is kept as a former vintage and counts no more",
            )
            for row in published.withdrawn.to_pylist()
        ),
        notes=batch.notes,
        quarantined=published.quarantined,
        checked=checked,
        missing=batch.missing,
        rows=batch.rows,
        repeated=given - bars - actions - conflicts,
        refused=batch.rejects.num_rows + conflicts,
        reasons=_reasons(batch, conflicts),
    )


def publish_headline_batch(
    settings: Settings,
    lake: Lake,
    batch: HeadlineBatch,
    name: str,
    days: DateRange,
    now: datetime,
    *,
    join: bool = True,
) -> IngestSummary:
    """Publish headlines and their tickers in one commit, and tell what that changed over `days`.

    `join`: see publish_headlines. Raises BatchRefused when an expectation fails; nothing is then
    published.
    """
    tables = {"headlines": batch.headlines, "headline_tickers": batch.headline_tickers}
    checked = _validate(settings, lake, tables, name, now)
    published = publish_headlines(lake, batch, now=now, join=join)
    kept = published.added + published.revised
    return IngestSummary(
        start=days[0],
        end=days[1],
        headlines=kept,
        quarantined=published.quarantined,
        checked=checked,
        rows=batch.rows,
        repeated=batch.repeated + batch.headlines.num_rows - kept,
        refused=batch.rejects.num_rows,
        reasons=_reasons(batch),
    )


def publish_feature_batch(
    settings: Settings, lake: Lake, batch: FeatureBatch, name: str, days: DateRange, now: datetime
) -> IngestSummary:
    """Publish the rows of one feature set in one commit, and tell what that changed over `days`.

    Raises BatchRefused when an expectation fails; nothing is then published.
    """
    checked = _validate(settings, lake, {"features": batch.features}, name, now)
    published = publish_features(lake, batch, now=now)
    notes = []
    if published.revised:
        words = f"{published.revised:,} values came again otherwise; they count from now on"
        notes.append((name, words))
    if published.redated:
        notes.append((name, f"{published.redated:,} values are available at another time now"))
    return IngestSummary(
        start=days[0],
        end=days[1],
        features=published.rows,
        notes=tuple(notes),
        quarantined=published.quarantined,
        checked=checked,
        rows=batch.rows,
        repeated=batch.repeated + batch.kept - published.rows,
        refused=batch.rejects.num_rows,
        reasons=_reasons(batch),
    )


def _reasons(batch: Batch, conflicts: int = 0) -> dict[str, int]:
    counted = batch.rejects.group_by("reason").aggregate([("record", "count")]).to_pylist()
    reasons = {row["reason"]: row["record_count"] for row in counted}
    return reasons | ({"conflicts with another source": conflicts} if conflicts else {})


def _validate(
    settings: Settings, lake: Lake, tables: Mapping[str, pa.Table], batch: str, now: datetime
) -> int:
    docs = settings.data_root / "data_docs"
    reports = [
        check(suite, table, batch=batch, checked_at=now, docs_root=docs, document=_is_first(suite))
        for suite, table in tables.items()
        if table.num_rows
    ]
    if reports:
        results = pa.concat_tables([report.results for report in reports])
        lake.transact(lambda tx: tx.upsert("checks", results, ("check_id",)))
    refused = [report for report in reports if not report.success]
    if refused:
        _show_refusal(settings, batch, refused)
    return sum(report.require().results.num_rows for report in reports)


def _is_first(suite: str) -> bool:
    """Whether this is the first batch of a suite in this flow run; true outside of one.

    It gets a page in the Data Docs, as every refused one does: a page of each passed batch took a
    third of a daily run. What was found of each is in the table `checks`.
    """
    if (run_id := flow_run.id) is None:
        return True
    with _TAKING_TURNS:
        first = (run_id, suite) not in _DOCUMENTED
        _DOCUMENTED.add((run_id, suite))
    return first


def show_validation(settings: Settings, summary: IngestSummary) -> None:
    """An artifact that says what the gate found in this run, with the way to the Data Docs."""
    docs = settings.data_root / "data_docs" / "index.html"
    where = f" [All results]({link_to(settings, docs)})" if docs.is_file() else ""
    create_markdown_artifact(
        f"{summary.checked:,} expectations were met; {summary.quarantined:,} rows went to "
        f"quarantine beforehand.{where}",
        key="validation",
        description=f"{summary.start} to {summary.end}",
    )


def _show_refusal(settings: Settings, batch: str, refused: Sequence[CheckReport]) -> None:
    rows = [
        {"suite": row["suite"], "expectation": row["expectation"], "found": plain(row["observed"])}
        for report in refused
        for row in report.results.to_pylist()
        if not row["success"]
    ]
    create_table_artifact(rows, key="validation", description=f"Refused: {plain(batch)}")
    for report in refused:
        if report.page is not None:
            create_link_artifact(
                link_to(settings, report.page), key="refusal", link_text=plain(batch)
            )
