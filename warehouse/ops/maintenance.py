"""Upkeep: merge small files, forget old snapshots, delete what nothing refers to any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from warehouse.lake import Lake, LakeError, Transaction
from warehouse.storage.landing import Landing
from warehouse.storage.object_store import open_store


class MaintenanceSpec(BaseModel):
    """How long things are kept that nothing refers to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_snapshots: timedelta = timedelta(days=30)
    """How long snapshots are kept, but for those of data sets, which are kept for good; at least as
    long as files."""
    keep_files: timedelta = timedelta(days=2)
    """How long files are kept that the catalog does not name. It must outlast the longest reader
    and writer: a file may be in use, or about to be committed, without the catalog saying so."""
    keep_payloads: timedelta = timedelta(days=30)
    """How long payloads are kept that no row refers to."""


class Upkeep(BaseModel):
    """What one round of maintenance did, in numbers of things merged or removed."""

    model_config = ConfigDict(frozen=True)

    rows_filed: int = 0
    files_merged: int = 0
    snapshots_expired: int = 0
    files_deleted: int = 0
    orphans_deleted: int = 0
    payloads_discarded: int = 0
    partial_files_deleted: int = 0

    def table(self) -> list[dict[str, str]]:
        """The numbers as rows for a Prefect table artifact."""
        return [
            {"what": name.replace("_", " "), "count": f"{count:,}"}
            for name, count in self.model_dump().items()
        ]


FEW_UNKNOWN, UNKNOWN_SHARE = 3, 0.05
"""So many files, or such a share of all, may be deleted although nothing refers to them: what a
killed writer leaves. More are a sign that the catalog is not the one they were written under."""


FILED = (
    "actions", "action_revisions", "bars", "bar_readings", "bar_revisions", "examples",
    "headlines", "headline_revisions", "headline_tickers", "payloads", "predictions", "sessions",
    "substitutions",
)  # fmt: skip
"""Tables whose small commits are filed: what labels and prompts are made of, and predictions.

Not those whose rows later runs replace, such as `example_builds` and `partitions`: each round would
leave a file of replaced rows, which the snapshots of data sets hold on to, and none can be merged.
"""


class UnknownFilesError(LakeError):
    """Too much would be deleted that nothing refers to; nothing was done."""


def maintain(
    lake: Lake,
    landing: Landing,
    spec: MaintenanceSpec,
    *,
    now: datetime,
    delete_unknown: bool = False,
) -> Upkeep:
    """One round of everything. `now` is the real time (UTC): it is compared with times of writing.

    Rows, data sets and models are as before; a second round finds nothing to do. Raises
    UnknownFilesError before anything is done when more than a small share of the data files or
    payloads would be deleted as unknown, unless told to `delete_unknown` ones.
    """
    if not delete_unknown:
        _refuse_many_unknown(lake, landing, spec, now)
    filed = file_rows(lake)
    merged = compact(lake)
    # A build that began with a snapshot refers to it only when it ends.
    expired = expire_snapshots(lake, now - max(spec.keep_snapshots, spec.keep_files))
    deleted, orphans = delete_files(lake, now - spec.keep_files)
    discarded = sweep_landing(lake, landing, now - spec.keep_payloads)
    partial = sum(
        open_store(location, lake.spec.endpoint).drop_partial(now - spec.keep_files)
        for location in (lake.spec.storage, lake.spec.landing)
    )
    lake.hash_files()
    return Upkeep(
        rows_filed=filed,
        files_merged=merged,
        snapshots_expired=len(expired),
        files_deleted=deleted,
        orphans_deleted=orphans,
        payloads_discarded=discarded,
        partial_files_deleted=partial,
    )


def _refuse_many_unknown(
    lake: Lake, landing: Landing, spec: MaintenanceSpec, now: datetime
) -> None:
    moment = {"older_than": now - spec.keep_files}
    files = lake.transact(lambda tx: tx.run("files_unknown", moment))["path"].to_pylist()
    known = lake.read("files_named").num_rows + lake.read("files_replaced").num_rows
    payloads, landed = _payloads_unneeded(lake, landing, now - spec.keep_payloads)
    for what, unknown, total in (
        ("data files", files, known + len(files)),
        ("payloads", payloads, landed),
    ):
        if len(unknown) > max(FEW_UNKNOWN, UNKNOWN_SHARE * total):
            raise UnknownFilesError(
                f"Maintenance would delete {len(unknown)} of {total} {what} because the catalog "
                f"does not refer to them: {', '.join(unknown[:3])}, …; expected at most "
                f"{FEW_UNKNOWN} or {UNKNOWN_SHARE:.0%}. Nothing was deleted. If the catalog is an "
                "old copy, bring back the right one or `newsvane restore` a backup elsewhere; if "
                "they may go, run `newsvane maintain --delete-unknown`."
            )


def file_rows(lake: Lake) -> int:
    """Move rows that small commits left in the catalog into data files; returns how many.

    There they have a hash.
    """

    def work(tx: Transaction) -> int:
        flushed = [tx.run("inlined_flush", {"table_name": name}) for name in FILED]
        return sum(sum(rows["rows_flushed"].to_pylist()) for rows in flushed if rows.num_rows)

    return lake.transact(work)


def compact(lake: Lake) -> int:
    """Merge small adjacent data files; returns how many went into larger ones.

    What snapshots show stays the same. The old files stay until `delete_files`.
    """
    merged = lake.transact(lambda tx: tx.run("compact"))
    return sum(merged["files_processed"].to_pylist()) if merged.num_rows else 0


def expire_snapshots(lake: Lake, older_than: datetime) -> tuple[int, ...]:
    """Forget snapshots replaced before `older_than` (UTC) that no data set was built from.

    Returns their ids. Rows as they are now are never touched, only the way back in time.
    """
    found = lake.read("snapshots_unneeded", {"older_than": older_than})
    unneeded = tuple(found["snapshot_id"].to_pylist())
    if unneeded:
        lake.transact(lambda tx: tx.run("snapshots_expire", {"snapshot_ids": list(unneeded)}))
    return unneeded


def delete_files(lake: Lake, older_than: datetime) -> tuple[int, int]:
    """Delete data files out of use since before `older_than` (UTC), then those never committed.

    Returns both counts. Files that any remaining snapshot needs stay.
    """
    moment = {"older_than": older_than}
    unneeded = lake.transact(lambda tx: tx.run("files_unneeded", moment))
    orphaned = lake.transact(lambda tx: tx.run("files_orphaned", moment))
    return unneeded.num_rows, orphaned.num_rows


def sweep_landing(lake: Lake, landing: Landing, older_than: datetime) -> int:
    """Discard payloads landed before `older_than` (UTC) that no row refers to; returns how many.

    Such payloads are of batches that were refused or interrupted. Run it while nothing is ingested:
    a vendor that repeats such an answer to the byte at that very moment would have it discarded.
    """
    unneeded, _ = _payloads_unneeded(lake, landing, older_than)
    for payload_id in unneeded:
        landing.discard(payload_id)
    return len(unneeded)


def _payloads_unneeded(lake: Lake, landing: Landing, older_than: datetime) -> tuple[list[str], int]:
    """Payloads landed before `older_than` that no row refers to, and how many there are in all."""
    landed = list(landing.landed())
    # Read after listing: a payload published in between is then known as referred to.
    referred = set(lake.read("payloads_referred")["payload_id"].to_pylist())
    unneeded = [name for name, at in landed if at < older_than and name not in referred]
    return unneeded, len(landed)
