"""Explanations: what each headline did to a forward prediction, and what else explains one."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa

from warehouse.lake import Lake

OFFERED = pa.schema(
    [
        ("predictor", pa.string()),
        ("model_id", pa.string()),
        ("spec_id", pa.string()),
        ("example_id", pa.string()),
        ("headline_ids", pa.list_(pa.string())),
        ("headline_id", pa.string()),
        ("position", pa.int64()),
        ("p_up", pa.float64()),
        ("p_up_without", pa.float64()),
    ]
)
"""One row per predictor, example and headline left out; `headline_ids` are all that it saw."""


def store_explanations(lake: Lake, rows: pa.Table, *, now: datetime) -> None:
    """Store rows of `OFFERED` with the forward predictions they explain, as made at `now` (UTC).

    Those of predictions that are not stored, saw other headlines or said something else are left
    out. Offering the same again commits nothing.
    """
    if rows.num_rows:
        made = {"now": now}
        lake.transact(lambda tx: tx.run("explanation_publish", made, incoming_explanations=rows))


def example_of_session(lake: Lake, spec_id: str, ticker: str, session: date) -> pa.Table:
    """The example of one spec, ticker and session; no row if there is none."""
    parameters = {"spec_id": spec_id, "ticker": ticker, "session": session}
    return lake.read("example_of_session", parameters)


def headline_titles(lake: Lake, headline_ids: pa.Array | pa.ChunkedArray) -> dict[str, str]:
    """The current title of each of these headlines that is stored, by headline_id."""
    wanted = pa.table({"headline_id": headline_ids.cast(pa.string())})
    found = lake.read("headline_titles", wanted_headlines=wanted)
    return dict(zip(found["headline_id"].to_pylist(), found["title"].to_pylist(), strict=True))
