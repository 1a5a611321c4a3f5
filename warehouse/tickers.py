"""The dated names and symbols of companies, as the warehouse keeps them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake


def publish_tickers(lake: Lake, aliases: pa.Table) -> int:
    """Merge aliases into `tickers`; decoys, which name nobody, stay out. Returns rows changed.

    `aliases` has the columns of `tickers`, one row per ticker, alias and valid_from.
    """
    naming = aliases.filter(pc.not_equal(aliases["ticker"], ""))
    key = ("ticker", "alias", "valid_from")
    return lake.transact(lambda tx: tx.upsert("tickers", naming, key))
