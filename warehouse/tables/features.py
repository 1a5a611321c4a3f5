"""Publishing features: rows of the user's own columns enter in one commit, or none.

What comes again with another value is a new revision, known from when it was imported; the former
one stays. What a later import leaves out stays too: files are often no more than the latest part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.lake import Lake, Transaction
from warehouse.tables.batches import (
    FeatureBatch,
    PublishError,
    affected,
    record_batch,
    require_unique,
    require_utc,
)

_KEY = ("feature_set", "ticker", "known_at", "name")


@dataclass(frozen=True, slots=True)
class FeaturePublication:
    """What one commit changed, in values. All zero: the batch was already in the warehouse.

    `rows` counts the tickers and instants of which any value is new or revised, `redated` values
    whose stamp is read otherwise than before.
    """

    rows: int
    added: int
    revised: int
    redated: int
    quarantined: int


def publish_features(lake: Lake, batch: FeatureBatch, *, now: datetime) -> FeaturePublication:
    """Commit the values of one feature set, rejects and payload rows together; `now` is UTC.

    Raises PublishError when the batch holds a key twice, or when it is of tickers and the stored
    set of the whole market, or the other way round.
    """
    require_utc(now)
    rows = batch.features
    require_unique(rows, _KEY, "features")

    def work(tx: Transaction) -> FeaturePublication:
        quarantined = record_batch(tx, batch, now)
        if not rows.num_rows:
            return FeaturePublication(0, 0, 0, 0, quarantined)
        of_set = {"feature_set": rows["feature_set"][0].as_py()}
        _require_one_kind(tx, rows, of_set["feature_set"])
        changes = tx.read("feature_changes", of_set, incoming_features=rows)
        redated = affected(tx.run("features_redate", incoming_features=rows))
        tx.append("features", changes)
        added = pc.sum(pc.equal(changes["revision"], 1)).as_py() or 0
        told = changes.group_by(["ticker", "known_at"]).aggregate([]).num_rows
        return FeaturePublication(told, added, changes.num_rows - added, redated, quarantined)

    return lake.transact(work)


def _require_one_kind(tx: Transaction, rows: pa.Table, feature_set: str) -> None:
    stored = tx.read("features_of_market", {"feature_set": feature_set})["of_market"].to_pylist()
    incoming = rows["ticker"][0].as_py() == "*"
    if stored and stored != [incoming]:
        kinds = ("of single tickers", "of the whole market")
        raise PublishError(
            f"The feature set {feature_set!r} is stored with rows {kinds[stored[0]]}; got rows "
            f"{kinds[incoming]}. Give them a set of another name; nothing was imported."
        )
