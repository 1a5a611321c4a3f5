"""The configuration of daily bars: the vendors in their order, and how their bars are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tasks.ingest.http.redaction import know_value
from tasks.ingest.prices.validation import PriceRules

Basis = Literal["fetch", "session"]
VendorKind = Literal["yahoo", "stooq", "tiingo", "alpha_vantage"]
_REFERENCE = re.compile(r"\$\{\w+\}")
_NEEDS_KEY = frozenset({"tiingo", "alpha_vantage"})


class VendorSpec(BaseModel):
    """One vendor of daily bars.

    `source` names it in the warehouse, by default its kind. `basis`: see PriceSpec; by default what
    the vendor's documentation says. `key` refers to the environment variable that holds the
    vendor's key, as `${NAME}`. `symbols` maps a ticker to what the vendor calls it. For Yahoo,
    `source`, `basis` and `symbols` are by default those of PriceSpec.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: VendorKind
    source: str | None = Field(default=None, min_length=1)
    basis: Basis | None = None
    key: str | None = None
    symbols: dict[str, str] = Field(default_factory=dict)

    @field_validator("key", mode="before")
    @classmethod
    def _a_reference(cls, given: object) -> object:
        if given is None or (isinstance(given, str) and _REFERENCE.fullmatch(given)):
            return given
        know_value(str(given))  # it is not to be shown in the error either
        raise ValueError(
            "expected a reference to an environment variable, such as ${TIINGO_TOKEN}: a key "
            "that is spelled out would be recorded with the run"
        )

    @model_validator(mode="after")
    def _with_its_key(self) -> VendorSpec:
        if self.kind in _NEEDS_KEY and self.key is None:
            raise ValueError(
                f'{self.kind} answers nobody without a key; add key = "${{NAME}}", the environment '
                "variable that holds it"
            )
        return self

    @property
    def name(self) -> str:
        """What the vendor is called in the warehouse."""
        return self.source or self.kind


def _vendor(given: object) -> object:
    """A vendor given by its kind alone has everything else by default."""
    return {"kind": given} if isinstance(given, str) else given


class PriceSpec(BaseModel):
    """Where daily bars come from and how they are read.

    `vendors` are asked in this order, which is also their precedence: the next one is asked for
    what those before it could not give; with `cross_check` each is asked for everything. Two prices
    agree within the share `tolerance` of the larger. A vendor that disagrees on more than
    `drift_share` of its last `drift_sessions` compared sessions raises an alarm.

    `basis` says which share basis the vendor quotes: "fetch" (splits restated up to the moment of
    the fetch, as Yahoo does) or "session" (as traded on the day). `overlap_sessions` are read again
    before each requested range, to see revisions and to validate the first bar beside its
    predecessors. `symbols` maps a ticker to what the vendor calls it. `timeout` is in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "yahoo"
    basis: Basis = "fetch"
    vendors: tuple[Annotated[VendorSpec, BeforeValidator(_vendor)], ...] = Field(
        default=(VendorSpec(kind="yahoo"),), min_length=1
    )
    cross_check: bool = False
    tolerance: float = Field(default=0.001, gt=0, lt=1)
    drift_sessions: int = Field(default=20, ge=1)
    drift_share: float = Field(default=0.2, ge=0, lt=1)
    exchange_zone: str = "America/New_York"
    overlap_sessions: int = Field(default=10, ge=0)
    passes: int = Field(default=2, ge=1)
    timeout: float = Field(default=30.0, gt=0)
    cache: Path = Path("yfinance")
    symbols: dict[str, str] = Field(default_factory=dict)
    rules: PriceRules = PriceRules()

    @model_validator(mode="after")
    def _each_once(self) -> PriceSpec:
        names = self.precedence
        if len(set(names)) != len(names):
            raise ValueError(
                f"vendors name {', '.join(names)}; expected each source once. Give two of one "
                "kind a source each."
            )
        return self

    @property
    def in_order(self) -> tuple[VendorSpec, ...]:
        """The vendors by precedence, each with its source."""
        return tuple(self._named(vendor) for vendor in self.vendors)

    @property
    def precedence(self) -> tuple[str, ...]:
        """The sources by precedence."""
        return tuple(vendor.name for vendor in self.in_order)

    @property
    def asked_for_all(self) -> int:
        """How many vendors are asked for everything; the others only for what is lacking."""
        return len(self.vendors) if self.cross_check else 1

    @property
    def first_source(self) -> str:
        """The source whose ledger says what is asked for."""
        return self.precedence[0]

    @property
    def yahoo(self) -> VendorSpec | None:
        """The first vendor that is Yahoo, if one is."""
        return next((vendor for vendor in self.in_order if vendor.kind == "yahoo"), None)

    def _named(self, vendor: VendorSpec) -> VendorSpec:
        if vendor.kind != "yahoo":
            return vendor
        return vendor.model_copy(
            update={
                "source": vendor.source or self.source,
                "basis": vendor.basis or self.basis,
                "symbols": vendor.symbols or self.symbols,
            }
        )
