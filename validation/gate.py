"""The gate between a source and the warehouse: run a suite over a batch and say what failed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from validation.columnar import holds
from validation.suites import SUITES, Rule

_CHECK_COLUMNS = {
    **dict.fromkeys(("check_id", "suite", "batch", "expectation"), pa.string()),
    "success": pa.bool_(),
    "observed": pa.string(),
    "checked_at": pa.timestamp("us", tz="UTC"),
}
CHECKS = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _CHECK_COLUMNS.items()])
"""One row per validation run and expectation, as the warehouse table `checks` keeps it."""

SAMPLES = 5
"""How many offending values a result quotes."""

# great-expectations keeps its current context in a module global, so two threads must take turns.
_ONE_AT_A_TIME = Lock()


class SuiteError(ValueError):
    """The named suite does not exist, or a batch came without a usable time."""


class BatchRefused(RuntimeError):  # noqa: N818 - a statement about the batch, not a malfunction
    """A batch failed its suite; nothing of it may be published."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of one validation run.

    `results` has the schema CHECKS; `page` is the run's page in the Data Docs, if they were built.
    """

    suite: str
    batch: str
    rows: int
    success: bool
    results: pa.Table
    page: Path | None

    def require(self) -> CheckReport:
        """Return this report. Raises BatchRefused, in words, when any expectation failed."""
        if self.success:
            return self
        failed = [row for row in self.results.to_pylist() if not row["success"]]
        details = "; ".join(f"{row['expectation']}: {row['observed']}" for row in failed[:5])
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        where = f" The whole report is at {self.page}." if self.page else ""
        raise BatchRefused(
            f"Batch {self.batch!r} ({self.rows} rows) was refused by suite {self.suite!r}: "
            f"{len(failed)} of {self.results.num_rows} expectations failed: {details}{more}. "
            f"Nothing was published; the last good data stays as it is. Correct the source or "
            f"quarantine the rows named, then run again.{where}"
        )


def check(
    suite: str,
    table: pa.Table,
    *,
    batch: str,
    checked_at: datetime,
    docs_root: Path | None = None,
    document: bool = True,
) -> CheckReport:
    """Run the expectations of `suite` over `table` and, with `docs_root`, add a Data Docs page.

    Without `document` only a batch that is refused gets one. A batch without a page that certainly
    meets its suite is not shown to great-expectations; the report is the same.

    `batch` names what was checked (a source and range, say); `checked_at` is UTC and aware. An
    empty table passes every row rule but must still have its columns. The report says whether all
    held; call its `require()` to turn a failure into an error. Raises SuiteError for an unknown
    suite or a time without a zone.
    """
    if suite not in SUITES:
        raise SuiteError(f"No suite is named {suite!r}; expected one of {', '.join(SUITES)}.")
    if checked_at.tzinfo is None:
        raise SuiteError(f"checked_at {checked_at} has no time zone; pass an aware UTC time.")
    rules = SUITES[suite]
    if not (docs_root and document) and all(holds(rule, table) for rule in rules):
        met = {rule.says: (True, _observed_met(rule, table)) for rule in rules}
        results = _results(suite, rules, met, batch=batch, checked_at=checked_at)
        return CheckReport(suite, batch, table.num_rows, True, results, None)
    with _ONE_AT_A_TIME:
        outcome = _validate(suite, rules, table, batch=batch, checked_at=checked_at)
        page = _document(outcome, suite, batch, checked_at, docs_root) if docs_root else None
    # great-expectations returns results grouped by column, so they are matched by description.
    found = {
        result.expectation_config.description: (bool(result.success), _observed(result))
        for result in outcome.results
    }
    results = _results(suite, rules, found, batch=batch, checked_at=checked_at)
    return CheckReport(
        suite=suite,
        batch=batch,
        rows=table.num_rows,
        success=bool(outcome.success),
        results=results,
        page=page,
    )


def _validate(
    suite: str, rules: tuple[Rule, ...], table: pa.Table, *, batch: str, checked_at: datetime
) -> Any:
    """The great-expectations result of `rules` over `table`, in an ephemeral context."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
    )

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    # The default configuration would leave a temporary folder behind for every context.
    bare = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())
    context = gx.get_context(mode="ephemeral", project_config=bare)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas(suite).add_dataframe_asset(suite)
    expectations = [
        getattr(gx.expectations, rule.kind)(description=rule.says, **rule.arguments)
        for rule in rules
    ]
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite,
            data=source.add_batch_definition_whole_dataframe(suite),
            suite=context.suites.add(gx.ExpectationSuite(name=suite, expectations=expectations)),
        )
    )
    frame = {"dataframe": table.to_pandas(date_as_object=False)}
    run_id = RunIdentifier(run_name=batch, run_time=checked_at)
    # Details are asked for when there are some: to gather them takes longer than to look for any.
    outcome = definition.run(
        batch_parameters=frame, result_format={"result_format": "BOOLEAN_ONLY"}, run_id=run_id
    )
    if outcome.success:
        return _with_counts(outcome, table)
    return definition.run(
        batch_parameters=frame,
        result_format={"result_format": "SUMMARY", "partial_unexpected_count": SAMPLES},
        run_id=run_id,
    )


def _with_counts(outcome: Any, table: pa.Table) -> Any:
    """The outcome of a batch that met every rule, with the counts that follow from that."""
    for result in outcome.results:
        if result.expectation_config.type == "expect_table_columns_to_match_set":
            result.result = {"observed_value": table.column_names}
        else:
            result.result = {
                "element_count": table.num_rows,
                "unexpected_count": 0,
                "unexpected_percent": 0.0,
            }
    return outcome


def _document(outcome: Any, suite: str, batch: str, checked_at: datetime, docs_root: Path) -> Path:
    from validation.data_docs import add_page

    return add_page(outcome, docs_root, suite=suite, batch=batch, checked_at=checked_at)


def _results(
    suite: str,
    rules: tuple[Rule, ...],
    found: Mapping[str, tuple[bool, str]],
    *,
    batch: str,
    checked_at: datetime,
) -> pa.Table:
    """Rows of CHECKS. `found`: of each rule, by its words, whether it holds and what was seen."""
    rows = [
        {
            "check_id": _check_id(suite, batch, checked_at, rule),
            "suite": suite,
            "batch": batch,
            "expectation": rule.says,
            "success": found[rule.says][0],
            "observed": found[rule.says][1],
            "checked_at": checked_at,
        }
        for rule in rules
    ]
    return pa.Table.from_pylist(rows, schema=CHECKS)


def _check_id(suite: str, batch: str, checked_at: datetime, rule: Rule) -> str:
    text = "\x1f".join((suite, batch, checked_at.isoformat(), rule.kind, rule.says))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _observed_met(rule: Rule, table: pa.Table) -> str:
    """What great-expectations sees in a table that meets a rule."""
    if rule.kind == "ExpectTableColumnsToMatchSet":
        return str(table.column_names)
    return f"0 of {table.num_rows} rows break it"


def _observed(result: Any) -> str:
    """What great-expectations saw, in a few words."""
    raised = _raised(result.exception_info or {})
    if raised:
        return f"could not be evaluated: {raised}"
    detail: Mapping[str, Any] = result.result
    if "unexpected_count" in detail:
        words = f"{detail['unexpected_count']} of {detail['element_count']} rows break it"
        samples = detail.get("partial_unexpected_list") or []
        return words + (f", e.g. {', '.join(map(_quoted, samples))}" if samples else "")
    return str(detail.get("observed_value", ""))


def _quoted(value: Any) -> str:
    """A sampled value as a reader expects it: texts in quotes, times and numbers plain."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_quoted, value))})"
    return repr(value) if isinstance(value, str) else str(value)


def _raised(info: Mapping[str, Any]) -> str:
    """The first error message in an exception_info, which may be nested by metric."""
    if "raised_exception" in info:
        return str(info.get("exception_message") or "").strip() if info["raised_exception"] else ""
    for nested in info.values():
        if isinstance(nested, Mapping) and (message := _raised(nested)):
            return message
    return ""
