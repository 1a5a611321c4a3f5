"""Parameters of statements: whatever they hold, they are read as the value they are."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.lake import Lake, sql
from warehouse.lake.literals import filled, literal
from warehouse.lake.spec import LakeError

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["'", "''; DROP TABLE x; --", "$a", "\\'", "$$", "/*", "a\0b", "\0", "é$b"]
)
FIRST, LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - hypothesis sets zones
WEST = timezone(timedelta(hours=-5, minutes=-30))
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    WORDS,
    st.dates(),
    st.datetimes(FIRST, LAST),
    st.datetimes(FIRST, LAST, timezones=st.sampled_from([UTC, WEST])),
    st.timedeltas(timedelta(days=-4000), timedelta(days=4000)),
)
VALUES = st.one_of(
    SCALARS, st.lists(WORDS, max_size=3), st.lists(st.integers(0, 2**40), max_size=3),
    st.lists(st.dates(), max_size=3).map(tuple),
    st.dictionaries(st.from_regex("c[0-9]{1,3}", fullmatch=True), WORDS, min_size=1, max_size=3),
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@settings(deadline=None)
@given(value=VALUES)
def test_a_literal_is_of_the_type_and_value_that_would_be_bound(engine, value: Any) -> None:
    query = "SELECT typeof($a) AS type, $a AS value, 'not $a' AS words -- nor $b"
    bound = engine.execute(query, {"a": value}).to_arrow_table()
    written = engine.execute(filled(query, {"a": value, "b": 1})).to_arrow_table()
    assert written.schema == bound.schema
    if isinstance(value, float) and math.isnan(value):
        assert math.isnan(written["value"][0].as_py())
    else:
        assert written.equals(bound)


def test_every_placeholder_of_every_statement_is_found() -> None:
    for name in sql.names():
        text = sql.statement(name).text
        wanted = {key for part in duckdb.extract_statements(text) for key in part.named_parameters}
        for missing in wanted:
            with pytest.raises(KeyError, match=missing):
                filled(text, dict.fromkeys(wanted - {missing}))
        left = duckdb.extract_statements(filled(text, dict.fromkeys(wanted, "x")))
        assert not any(part.named_parameters for part in left), name


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": b"x"}, [date(2020, 1, 1), object()]])
def test_a_value_no_statement_takes_is_refused(value: object) -> None:
    with pytest.raises(LakeError, match="cannot be the parameter of an SQL statement"):
        literal(value)


def test_reading_with_parameters_leaves_pandas_where_it_is(lake_spec) -> None:
    """The import is half of what a short command takes."""
    Lake.open(lake_spec).close()
    script = (
        "import sys; from warehouse.lake import Lake, LakeSpec\n"
        "with Lake.open(LakeSpec.model_validate_json(sys.argv[1])) as lake:\n"
        "    lake.read('dataset_registered', {'dataset_id': 'x'})\n"
        "sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, lake_spec.model_dump_json()], check=False)
    assert done.returncode == 0
