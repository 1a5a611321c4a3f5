"""What Arrow can say of a rule: that a table certainly meets it. All else great-expectations says.

great-expectations takes a quarter of a second for a suite, whatever its rows, and three to be
imported; Arrow takes a millisecond. Nothing is refused here: a rule that seems broken, or a table
that is not of the expected types, is for great-expectations, whose verdict and words then count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from validation.suites import CONTROL, Rule

# Arrow's expressions know ASCII alone: what is no space to them may be one to Python's.
_STRICTER = {r"\S": r"[!-~]"}


def holds(rule: Rule, table: pa.Table) -> bool:
    """Whether `table` certainly meets `rule`, as great-expectations reads it.

    False: it does not, or only great-expectations can tell.
    """
    needed = _columns_of(rule)
    if any(table.column_names.count(name) != 1 for name in needed):
        return False
    certain = _CERTAIN.get(rule.kind)
    return certain is not None and certain(table, rule.arguments)


def _columns_of(rule: Rule) -> list[str]:
    given = rule.arguments
    listed = [*given.get("column_list", ()), *given.get("column_set", ())]
    single = [given[name] for name in ("column", "column_A", "column_B") if name in given]
    return [*listed, *single]


def _columns_match(table: pa.Table, given: Mapping[str, Any]) -> bool:
    return given["exact_match"] is False  # that each is there, `holds` has seen


def _not_null(table: pa.Table, given: Mapping[str, Any]) -> bool:
    return bool(_filled(table[given["column"]]))


def _filled(column: pa.ChunkedArray) -> bool:
    """No null, and no number that is none, which pandas takes for a null."""
    return bool(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() in (0, None))


def _present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))


def _unique(table: pa.Table, given: Mapping[str, Any]) -> bool:
    column = table[given["column"]]
    return _filled(column) and pc.count_distinct(column).as_py() == len(column)


def _together_unique(table: pa.Table, given: Mapping[str, Any]) -> bool:
    names = given["column_list"]
    if not all(_filled(table[name]) for name in names):
        return False
    distinct = table.select(names).group_by(names, use_threads=False).aggregate([])
    return bool(distinct.num_rows == table.num_rows)


def _between(table: pa.Table, given: Mapping[str, Any]) -> bool:
    column = table[given["column"]]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return False
    ends = pc.min_max(_present(column)).as_py()
    if ends["min"] is None:
        return True
    low, high = given["min_value"], given["max_value"]
    above = ends["min"] > low if given["strict_min"] else ends["min"] >= low
    return bool(above and ends["max"] <= high)


def _ordered(table: pa.Table, given: Mapping[str, Any]) -> bool:
    later, earlier = table[given["column_A"]], table[given["column_B"]]
    if later.type != earlier.type or not (_filled(later) and _filled(earlier)):
        return False
    compare = pc.greater_equal if given["or_equal"] else pc.greater
    return bool(pc.all(compare(later, earlier), min_count=0).as_py())


def _in_set(table: pa.Table, given: Mapping[str, Any]) -> bool:
    column = table[given["column"]]
    if not pa.types.is_string(column.type):
        return False
    known = pc.is_in(column, pa.array([*given["value_set"], None], pa.string()))
    return bool(pc.all(known, min_count=0).as_py())


def _matches(table: pa.Table, given: Mapping[str, Any]) -> bool:
    column, regex = table[given["column"]], given["regex"]
    if not pa.types.is_string(column.type):
        return False
    found = pc.match_substring_regex(column.drop_null(), _STRICTER.get(regex, regex))
    return bool(pc.all(found, min_count=0).as_py())


def _matches_not(table: pa.Table, given: Mapping[str, Any]) -> bool:
    column = table[given["column"]]
    if not pa.types.is_string(column.type) or given["regex"] != CONTROL:
        return False
    found = pc.match_substring_regex(column.drop_null(), CONTROL)
    return not pc.any(found, min_count=0).as_py()


_CERTAIN: Mapping[str, Callable[[pa.Table, Mapping[str, Any]], bool]] = {
    "ExpectTableColumnsToMatchSet": _columns_match,
    "ExpectColumnValuesToNotBeNull": _not_null,
    "ExpectColumnValuesToBeUnique": _unique,
    "ExpectCompoundColumnsToBeUnique": _together_unique,
    "ExpectColumnValuesToBeBetween": _between,
    "ExpectColumnPairValuesAToBeGreaterThanB": _ordered,
    "ExpectColumnValuesToBeInSet": _in_set,
    "ExpectColumnValuesToMatchRegex": _matches,
    "ExpectColumnValuesToNotMatchRegex": _matches_not,
}
