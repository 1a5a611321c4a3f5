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

    For Yahoo, `source`, `basis` and `symbols` are by default those of PriceSpec.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: VendorKind
    """Which vendor."""
    source: str | None = Field(default=None, min_length=1)
    """Its name in the warehouse; none: its kind."""
    basis: Basis | None = None
    """Which share basis it quotes, as for PriceSpec; none: what the vendor's documentation says."""
    key: str | None = None
    """Reference to the environment variable that holds the vendor's key, `${NAME}`; none: it needs
    none."""
    symbols: dict[str, str] = Field(default_factory=dict)
    """What the vendor calls a ticker, where it is not the same."""

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

    A vendor that disagrees on more than `drift_share` of its last `drift_sessions` compared
    sessions raises an alarm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "yahoo"
    """Name of Yahoo's bars in the warehouse."""
    basis: Basis = "fetch"
    """Which share basis Yahoo quotes: `fetch` (splits restated up to the moment of the fetch) or
    `session` (as traded on the day)."""
    vendors: tuple[Annotated[VendorSpec, BeforeValidator(_vendor)], ...] = Field(
        default=(VendorSpec(kind="yahoo"),), min_length=1
    )
    """The vendors in the order in which they are asked, which is also their precedence: the next
    one is asked for what those before it could not give."""
    cross_check: bool = False
    """Ask each vendor for everything and compare."""
    tolerance: float = Field(default=0.001, gt=0, lt=1)
    """Two prices agree within this share of the larger."""
    drift_sessions: int = Field(default=20, ge=1)
    """How many compared sessions an alarm looks back."""
    drift_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of them on which a vendor may disagree."""
    exchange_zone: str = "America/New_York"
    """IANA zone of the exchange, in which vendors date their bars."""
    overlap_sessions: int = Field(default=10, ge=0)
    """Sessions that are read again before each requested range, to see revisions and to validate
    the first bar beside its predecessors."""
    passes: int = Field(default=2, ge=1)
    """How often a ticker is asked for in all, while expected bars are missing."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds that one request may take."""
    cache: Path = Path("yfinance")
    """Folder of yfinance's own cache, relative to `data_root`."""
    symbols: dict[str, str] = Field(default_factory=dict)
    """What Yahoo calls a ticker, where it is not the same."""
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
