"""Deposit: new links of the hash chain with the forward predictions in them, as one document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.checks.witness.spec import Copy, WitnessError
from warehouse.lake import Lake
from warehouse.tables.schemas import PREDICTIONS, SEALS, without

_ROWS = pa.schema([SEALS.field("seal_no"), *without(PREDICTIONS, "kind")])
"""Of `deposit_predictions`."""
FORMAT: Final = "newsvane-deposit-1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Link(_Part):
    """One link of the chain: a row of `seals`."""

    seal_no: int = Field(ge=1)
    rows: int
    content_hash: str
    prev_hash: str
    hash: str
    sealed_at: datetime


class Deposited(_Part):
    """One forward prediction as it was made, and the link that seals it. Instants are UTC."""

    seal_no: int
    prediction_id: str
    predictor: str
    model_id: str | None
    dataset_id: str | None
    spec_id: str
    example_id: str
    ticker: str
    session: date
    decision_ts: datetime
    p_up: float
    predicted_at: datetime
    headline_ids: tuple[str, ...] | None
    input_sha256: str | None


class Deposit(_Part):
    """What is deposited at once: links in order, the last one being the head, and predictions."""

    format: Literal["newsvane-deposit-1"] = FORMAT
    links: tuple[Link, ...] = Field(min_length=1)
    predictions: tuple[Deposited, ...] = ()

    @property
    def head(self) -> Link:
        """The last link."""
        return self.links[-1]

    @property
    def name(self) -> str:
        """Of its file: the head's number, so that files sort as the chain does."""
        return f"{self.head.seal_no:08}.json"


@dataclass(frozen=True, slots=True)
class Difference:
    """A link or prediction that the warehouse does not hold as a witness does."""

    subject: str
    record_id: str
    problem: str


def next_deposit(lake: Lake, after: int) -> bytes | None:
    """The document of all links behind link `after`, in canonical JSON; None when there is none."""
    links = lake.read("deposit_links", {"after": after}).to_pylist()
    if not links:
        return None
    predictions = lake.read("deposit_predictions", {"after": after}).to_pylist()
    found = {"format": FORMAT, "links": links, "predictions": predictions}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"), default=_text_of)
    return (text + "\n").encode()


def _text_of(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a deposit.")


def parsed(copies: Iterable[Copy]) -> list[Deposit]:
    """The deposits in a witness's copies. Raises WitnessError for a copy that is none."""
    found = []
    for copy in copies:
        try:
            found.append(Deposit.model_validate_json(copy.document))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the document"
            raise WitnessError(
                f"its copy {copy.name} is no deposit of this program ({place}: {first['msg']}); "
                "expected nothing else there. Look at who else writes to it."
            ) from error
    return found


def differences(lake: Lake, deposits: Sequence[Deposit]) -> list[Difference]:
    """How the warehouse differs from what was deposited: the first link that does, predictions.

    A prediction that was altered, deleted, or slipped into links deposited before is named.
    """
    if not deposits:
        return []
    own = {row["seal_no"]: row["hash"] for row in lake.read("seal_chain").to_pylist()}
    links = sorted((link.seal_no, link.hash) for deposit in deposits for link in deposit.links)
    found = []
    for number, kept in links:
        if own.get(number) != kept:
            held = f"the warehouse has {own[number][:16]}" if number in own else "it is gone here"
            problem = (
                f"from this link on the chain is not the one deposited: the witness holds "
                f"{kept[:16]}, {held}"
            )
            found.append(Difference("link", str(number), problem))
            break
    rows = [row.model_dump() for deposit in deposits for row in deposit.predictions]
    table = pa.Table.from_pylist(rows, schema=_ROWS)
    last = {"last": max(number for number, _ in links)}
    lake_rows = lake.read("deposit_differences", last, deposited=table).to_pylist()
    return found + [Difference("prediction", r["prediction_id"], r["problem"]) for r in lake_rows]
