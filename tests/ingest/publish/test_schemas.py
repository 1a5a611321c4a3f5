"""One schema per table: DDL, batches, suites and the specs' own tables all say the same columns."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tasks.dataset.spec.clock import SESSIONS_SCHEMA
from validation.gate import CHECKS
from validation.suites import SUITES
from warehouse.lake import Lake, sql
from warehouse.tables import batches, schemas

TABLES = {
    name.lower(): schema for name, schema in vars(schemas).items() if isinstance(schema, pa.Schema)
}
BATCHES = {
    "bars": batches.BARS,
    "actions": batches.ACTIONS,
    "headlines": batches.HEADLINES,
    "headline_tickers": batches.HEADLINE_TICKERS,
    "features": batches.FEATURES,
}
DECLARED = (
    "SELECT column_name, is_nullable = 'YES' AS nullable FROM information_schema.columns"
    " WHERE table_catalog = 'lake' AND table_name = $table ORDER BY ordinal_position"
)


def test_every_table_has_the_columns_types_and_nulls_that_its_ddl_declares(lake: Lake) -> None:
    assert TABLES.keys() == sql.relations("schema").keys()
    for table, schema in TABLES.items():
        declared = lake.sql(DECLARED, {"table": table}).to_pylist()
        assert [(row["column_name"], row["nullable"]) for row in declared] == [
            (column.name, column.nullable) for column in schema
        ], table
        empty = lake.sql(f"SELECT * FROM {table} LIMIT 0")
        assert dict(zip(empty.column_names, empty.schema.types, strict=True)) == {
            column.name: column.type for column in schema
        }, table


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_suite_speaks_of_the_batch_and_fills_what_may_not_be_null(suite: str) -> None:
    schema = BATCHES[suite]
    named: set[str] = set()
    for rule in SUITES[suite]:
        given = rule.arguments
        columns = {given[key] for key in ("column", "column_A", "column_B") if key in given}
        named |= columns | {*given.get("column_list", ()), *given.get("column_set", ())}
    assert named <= set(schema.names)
    filled = {
        rule.arguments["column"]
        for rule in SUITES[suite]
        if rule.kind == "ExpectColumnValuesToNotBeNull"
    }
    assert filled == {column.name for column in schema if not column.nullable}


def test_tables_made_outside_the_warehouse_have_its_columns() -> None:
    assert schemas.CHECKS == CHECKS
    assert schemas.without(schemas.SESSIONS, "calendar_version") == SESSIONS_SCHEMA


def test_leaving_out_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="no column volumes"):
        schemas.without(schemas.BARS, "volumes")
