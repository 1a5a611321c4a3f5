"""Every configured witness: deposit what is new with it, compare the warehouse with its copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from tasks.checks.witness.deposit import Deposit, Difference, differences, next_deposit, parsed
from tasks.checks.witness.git import GitWitness
from tasks.checks.witness.spec import Kept, Witness, WitnessError, WitnessSpec
from tasks.checks.witness.timestamp import TimestampWitness
from tasks.checks.witness.web import HttpWitness
from tasks.ingest.http.redaction import Secrets, no_secrets
from warehouse.lake import Lake
from warehouse.tables.schemas import DEPOSITS

SHOWN = 20
"""Differences that are named; the first ones tell."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What became of one witness, in words; `sound` if there is nothing to look into."""

    witness: str
    sound: bool
    words: str


def witness_of(name: str, spec: WitnessSpec, root: Path, secrets: Secrets = no_secrets) -> Witness:
    """The witness called `name` as configured; time stamps are kept below `root`/witness."""
    if spec.kind == "git":
        return GitWitness(spec)
    if spec.kind == "http":
        return HttpWitness(spec, secrets)
    return TimestampWitness(spec, root / "witness" / name, secrets)


def deposit(
    lake: Lake, witnesses: Mapping[str, Witness], *, now: datetime
) -> tuple[Statement, ...]:
    """Deposit with each witness what it does not hold yet; `now` is UTC.

    One that cannot be asked keeps nobody else from its deposit, and gets all it missed next time.
    One whose copies differ from the warehouse gets nothing more: its copies are the evidence.
    """
    return tuple(_deposit(lake, name, one, now) for name, one in witnesses.items())


def compare(lake: Lake, witnesses: Mapping[str, Witness]) -> tuple[Statement, ...]:
    """Hold the warehouse against what each witness holds; nothing is written."""
    return tuple(_compared(lake, name, one) for name, one in witnesses.items())


def _deposit(lake: Lake, name: str, witness: Witness, now: datetime) -> Statement:
    try:
        kept = witness.kept()
        deposits = parsed(kept.copies)
        found = differences(lake, deposits)
        if found:
            words = "; ".join(map(_in_words, found[:SHOWN]))
            return Statement(name, False, f"Nothing more is deposited with {name}: {words}")
        after = max((one.head.seal_no for one in deposits), default=0)
        document = next_deposit(lake, after)
        if document is None:
            return Statement(name, True, f"{name} holds the chain up to link {after} already.")
        made = Deposit.model_validate_json(document)
        witness.store(made.name, document)
    except WitnessError as error:
        return Statement(name, False, f"{name} took no deposit: {error}")
    row = {"witness": name, "seal_no": made.head.seal_no, "hash": made.head.hash}
    receipt = pa.Table.from_pylist([{**row, "deposited_at": now}], schema=DEPOSITS)
    lake.transact(lambda tx: tx.append("deposits", receipt))
    count = len(made.predictions)
    words = f"{name} holds the chain up to link {made.head.seal_no}, {count:,} predictions more."
    return Statement(name, True, words)


def _compared(lake: Lake, name: str, witness: Witness) -> Statement:
    try:
        kept = witness.kept()
        deposits = parsed(kept.copies)
        found = _wrong(lake, name, kept, deposits)
    except WitnessError as error:
        return Statement(name, False, f"{name} could not be asked: {error}")
    if found:
        return Statement(name, False, f"{name}: {found}")
    if not deposits:
        return Statement(name, False, f"Nothing is deposited with {name} yet: `newsvane deposit`.")
    last = max(deposits, key=lambda one: one.head.seal_no).head
    first = min(copy.at for copy in kept.copies if copy.at) if kept.copies[0].at else None
    vouched = f", the first of them since {first:%Y-%m-%d %H:%M} UTC" if first else ""
    count = sum(len(one.predictions) for one in deposits)
    words = (
        f"{name} holds the same chain up to link {last.seal_no}, sealed "
        f"{last.sealed_at:%Y-%m-%d %H:%M} UTC, with {count:,} predictions in {len(deposits):,} "
        f"deposits{vouched}."
    )
    return Statement(name, True, words)


def _wrong(lake: Lake, name: str, kept: Kept, deposits: list[Deposit]) -> str:
    """What is wrong with the witness's copies or the warehouse, in words; empty if nothing is."""
    held = max((one.head.seal_no for one in deposits), default=0)
    (recorded,) = lake.read("deposit_last", {"witness": name}).to_pylist()
    found = [*kept.problems]
    if recorded["seal_no"] is not None and recorded["seal_no"] > held:
        found.append(
            f"it holds links up to {held}, but {recorded['seal_no']} was deposited on "
            f"{recorded['deposited_at']:%Y-%m-%d}: copies are missing there"
        )
    found += map(_in_words, differences(lake, deposits)[:SHOWN])
    return "; ".join(found)


def _in_words(found: Difference) -> str:
    return f"{found.subject} {found.record_id}: {found.problem}"
