"""Parameters of flows as people fill them in: what each means, and what is refused at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from flows.settings import ConfigSelection


@dataclass(frozen=True, slots=True)
class Told:
    """What the form of the UI says about a parameter.

    Prefect replaces the description of a `Field` in an annotation by that of the docstring, so
    the words go into the type's own schema.
    """

    words: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), "description": self.words}


Selection = Annotated[ConfigSelection, Told("Which configuration to run with; filled in already.")]
FirstDay = Annotated[date, Told("First day, YYYY-MM-DD; counts itself.")]
LastDay = Annotated[date, Told("Last day, YYYY-MM-DD; counts itself.")]
Ticker = Annotated[str, Field(pattern=r"^[A-Za-z0-9^][A-Za-z0-9.^=-]{0,15}$")]
Tickers = Annotated[
    Annotated[tuple[Ticker, ...], Field(min_length=1)] | None,
    Told("Only these symbols, e.g. AAPL. Empty: all that are configured."),
]
Kind = Literal["prices", "headlines"]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), Told("What to ask for.")]
Force = Annotated[bool, Told("Ask again for what is done already; equal answers change nothing.")]
DatasetId = Annotated[str | None, Told("Identity of a data set. Empty: the newest one.")]
ModelId = Annotated[str | None, Told("Identity of a model. Empty: as configured, else the newest.")]
