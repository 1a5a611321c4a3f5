"""Point-in-time join of own tables: each row meets what was known before its instant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from newsvane.errors import ReadError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def join_asof(
    rows: pa.Table,
    own: object,
    *,
    on: str,
    known_at: str,
    by: str | None,
    within: timedelta | None,
) -> pa.Table:
    """`rows` in their order, with the columns of `own` beside them; see `Rows.join_asof`."""
    import pandas as pd
    import pyarrow as pa

    table = _arrow(own)
    keys = [] if by is None else [by]
    left, right = _times(rows, on, keys, "the rows"), _times(table, known_at, keys, "own")
    shared = set(rows.column_names) & set(table.column_names) - set(keys)
    if shared:
        raise ReadError(
            f"Both tables have the column {min(shared)!r}; expected names of own columns that the "
            "rows do not have. Rename it before joining."
        )
    if repeated := int(right.duplicated([*keys, "at"]).sum()):
        raise ReadError(
            f"{repeated} rows of own repeat the {' and '.join([*keys, known_at])} of another; "
            "expected one row that was known at an instant. Keep the one that counts."
        )
    met = pd.merge_asof(
        left.sort_values("at", kind="stable"),
        right.sort_values("at", kind="stable"),
        on="at",
        by=keys or None,
        tolerance=None if within is None else pd.Timedelta(within),
        allow_exact_matches=False,
        suffixes=("", "_own"),
    ).sort_values("row", kind="stable")
    found = pa.Array.from_pandas(met["row_own"], type=pa.int64())
    for name in table.column_names:
        if name not in keys:
            rows = rows.append_column(name, table[name].take(found))
    return rows


def _arrow(own: object) -> pa.Table:
    import pandas as pd
    import pyarrow as pa

    if isinstance(own, pd.DataFrame):
        return pa.Table.from_pandas(own, preserve_index=False)
    if hasattr(own, "__arrow_c_stream__"):
        return pa.table(own)
    raise ReadError(
        f"join_asof got a {type(own).__name__}; expected a pandas or polars frame, an Arrow table "
        "or Rows."
    )


def _times(table: pa.Table, instant: str, keys: list[str], whose: str) -> pd.DataFrame:
    """The row numbers, keys and instants (`at`, UTC) of a table."""
    import pandas as pd
    import pyarrow as pa

    absent = [name for name in (instant, *keys) if name not in table.column_names]
    if absent:
        raise ReadError(
            f"The columns of {whose} are {', '.join(table.column_names)}; expected {absent[0]!r} "
            "among them. Name the one that is meant with on, known_at or by."
        )
    column = table[instant]
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        raise ReadError(
            f"The column {instant!r} of {whose} is of type {column.type}; expected instants with a "
            "time zone, because a moment without one may lie after the decision."
        )
    if column.null_count:
        raise ReadError(
            f"{column.null_count} rows of {whose} have no {instant!r}; expected an instant in "
            "each. Leave out those of which it is not known."
        )
    try:  # the finest unit there is: rounded, an instant could seem earlier than it was
        utc = column.cast(pa.timestamp("ns", tz="UTC"))
    except pa.ArrowInvalid as error:
        raise ReadError(
            f"The column {instant!r} of {whose} holds an instant beyond the years 1677 to 2262 "
            f"({error}); expected those of real events. Leave out what is meant for 'never'."
        ) from error
    return pd.DataFrame(
        {
            "row": range(table.num_rows),
            "at": utc.to_pandas(),
            **{key: table[key].cast(pa.string()).to_pandas() for key in keys},
        }
    )
