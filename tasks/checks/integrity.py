"""Integrity: the hash chain over what must never change, and payloads and files by their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.prediction.registry import ADAPTER_FILE
from warehouse.lake import Lake, LakeError, LakeSpec, Transaction
from warehouse.ops.files import check_catalog, check_files
from warehouse.storage.atomic import file_sha256
from warehouse.storage.landing import Landing, LandingError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One record, seal or file that is not as it was sealed."""

    subject: str
    record_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was compared and what was found. `head` is the chain's last hash, '' without a chain."""

    findings: tuple[Finding, ...]
    seals: int
    records: int
    payloads: int
    data_files: int
    unhashed: int
    files: int
    head: str

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to compare."""
        return not (self.records or self.payloads or self.data_files or self.files)

    @property
    def words(self) -> str:
        """The report in a sentence or two, naming every finding."""
        if self.sound and self.is_empty:
            return (
                "Nothing to check: the warehouse holds no payload, no data file and no sealed "
                "record yet. Expected one that something was ingested into; is the data root the "
                "one you mean?"
            )
        extent = (
            f"{self.records} records in {self.seals} seals, {self.payloads} payloads, "
            f"{self.data_files} data files and {self.files} files of data sets and models compared "
            "with their hashes"
        )
        if self.unhashed:
            extent += (
                f" ({self.unhashed} data files have no hash yet, of these only the size; "
                "`newsvane maintain` hashes them)"
            )
        if self.sound:
            return f"Nothing was altered: {extent}. Head of the chain: {self.head or 'none yet'}."
        named = "; ".join(f"{f.subject} {f.record_id}: {f.problem}" for f in self.findings)
        return f"{len(self.findings)} findings ({extent}): {named}."


def verify(
    lake: Lake, landing: Landing, *, anchor: str | None = None, progress: Progress | None = None
) -> VerifyReport:
    """Recompute every hash that the warehouse recorded and name what does not match.

    `anchor` is a head of the chain kept elsewhere: it must still be part of the chain. `progress`
    is called with (done, total) for payload bodies, which take the longest. Nothing is changed, and
    nothing that is damaged ends it: what cannot be read is a finding too.
    """
    checked = check_files(lake)
    found = [Finding("data file", name, problem) for name, problem in checked.problems]
    damage = check_catalog(lake.spec)
    if damage is not None:
        found.append(Finding("catalog", lake.spec.catalog_location, damage))

    def rows(name: str) -> list[dict[str, Any]]:
        try:
            return list(lake.scan(name, {}).to_pylist())
        except LakeError as error:
            problem = f"could not be read, so what depends on it was not compared: {error}"
            found.append(Finding("warehouse", name, problem))
            return []

    chain = rows("seal_chain")
    rows("seal_records")
    found += [
        Finding(row["subject"], row["record_id"], row["problem"]) for row in rows("seal_findings")
    ]
    hashes = [row["hash"] for row in chain]
    if anchor is not None and anchor not in hashes:
        found.append(
            Finding("seal", anchor[:16], "this known head is not in the chain: it was rewritten")
        )
    payload_ids = [row["payload_id"] for row in rows("verify_payloads")]
    found += _payloads(landing, payload_ids, progress)
    files = list(_recorded_files(lake.spec, rows("verify_datasets"), rows("model_rows")))
    found += [finding for file in files if (finding := _file(*file)) is not None]
    return VerifyReport(
        findings=tuple(found),
        seals=len(hashes),
        records=sum(row["rows"] for row in chain),
        payloads=len(payload_ids),
        data_files=checked.files,
        unhashed=checked.unhashed,
        files=len(files),
        head=hashes[-1] if hashes else "",
    )


def seal(lake: Lake, *, now: datetime) -> str | None:
    """Add one link over every record not yet sealed and return the new head of the chain.

    Returns None, and commits nothing, when there is none. `now` is UTC. Keep the head somewhere
    else too (a report, a message): only then is a chain rewritten as a whole noticed.
    """

    def work(tx: Transaction) -> pa.Table:
        tx.read("seal_records")
        return tx.run("seal_append", {"now": now})

    added = lake.transact(work)
    return str(added["hash"][0].as_py()) if added.num_rows else None


def _payloads(
    landing: Landing, payload_ids: list[str], progress: Progress | None
) -> Iterator[Finding]:
    for done, payload_id in enumerate(payload_ids, start=1):
        try:
            landing.load(payload_id)
        except (LandingError, OSError, EOFError) as error:
            yield Finding("payload", payload_id, str(error))
        if progress is not None:
            progress(done, len(payload_ids))


def _recorded_files(
    spec: LakeSpec, datasets: list[dict[str, Any]], models: list[dict[str, Any]]
) -> Iterator[tuple[str, str, Path, str]]:
    """Subject, id, path and recorded sha256 of each data set file and adapter."""
    for row in datasets:
        folder, name = spec.placed(row["path"]), row["dataset_id"]
        manifest = hashlib.sha256(row["manifest"].encode()).hexdigest()
        yield "dataset", name, folder / "manifest.json", manifest
        for split in json.loads(row["manifest"])["splits"].values():
            for file in split["files"]:
                yield "dataset", name, folder / file["name"], file["sha256"]
    for row in models:
        path = spec.placed(row["path"]) / ADAPTER_FILE
        yield "model", row["model_id"], path, row["adapter_sha256"]


def _file(subject: str, record_id: str, path: Path, expected: str) -> Finding | None:
    if not path.is_file():
        return Finding(subject, record_id, f"{path} is missing")
    try:
        found = file_sha256(path)
    except OSError as error:
        return Finding(subject, record_id, f"{path} could not be read: {error}")
    if found == expected:
        return None
    return Finding(subject, record_id, f"{path} hashes to {found}, expected {expected}")
