"""One configuration file, read once into one frozen object. Only `flows` imports this module.

Order of precedence: `--set` on the command line, `NEWSVANE_…` in the environment, the chosen
profile's table, the file's base tables. Secrets come through the environment only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from flows.config_file import ConfigurationError, parsed, profiled, read
from sandbox.faults import FaultPlan
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.split import WalkForwardSpec
from tasks.evaluation.spec import EvaluationSpec
from tasks.ingest.headlines.archive import HeadlineMapping
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.presets import preset_fields
from tasks.ingest.http.client import FeedLimits
from tasks.ingest.http.retry import PatienceSpec
from tasks.ingest.prices.archive import PriceMapping
from tasks.ingest.prices.fetch import PriceSpec
from tasks.prediction.promotion import RetrainSpec
from warehouse.lake import LakeSpec
from warehouse.ops.maintenance import MaintenanceSpec

DEFAULT_FILE = Path("newsvane.toml")
_FROZEN = ConfigDict(frozen=True, extra="forbid")


class ConfigSelection(BaseModel):
    """Which configuration a flow runs with; small enough to be a parameter in the Prefect UI."""

    model_config = _FROZEN

    config: Path | None = Field(default=None, description="Path of newsvane.toml; empty: ./")
    profile: str | None = Field(default=None, description="sandbox, live, stocknet or your own")
    overrides: tuple[str, ...] = Field(default=(), description="KEY=VALUE settings to override")

    def overridden(self, *overrides: str) -> ConfigSelection:
        """This selection with further `KEY=VALUE` overrides, which win over its own."""
        return self.model_copy(update={"overrides": (*self.overrides, *overrides)})


class UniverseSpec(BaseModel):
    """Which tickers, on which exchange (ISO 10383 code, as exchange_calendars spells it)."""

    model_config = _FROZEN

    exchange: str = "XNYS"
    tickers: tuple[str, ...] = Field(default=("AAPL", "FB", "GOOG", "IBM", "MSFT"), min_length=1)
    aliases: Path | None = Field(default=None, description="names and symbols; None: the shipped")


class HistorySpec(BaseModel):
    """How far back `run` ingests. Dates are sessions or the days between them; inclusive."""

    model_config = _FROZEN

    prices_start: date = date(2000, 3, 1)
    headlines_start: date = date(2011, 6, 1)
    end: date | None = Field(default=None, description="None: the last finished session")

    @model_validator(mode="after")
    def _in_order(self) -> HistorySpec:
        starts = max(self.prices_start, self.headlines_start)
        if self.end is not None and self.end < starts:
            raise ValueError(f"end {self.end} lies before a start ({starts}); swap or correct them")
        return self


class SandboxSpec(BaseModel):
    """The loopback vendor of the default profile. `now` is the moment it believes it is.

    With `url`, a vendor that already runs there is asked (`python -m sandbox --now …`), by any
    number of processes; what it offers and what goes wrong is then its own business.
    """

    model_config = _FROZEN

    url: str | None = Field(default=None, pattern=r"^http://127\.0\.0\.1:\d+$")
    market: Literal["bokeh", "synthetic"] = "bokeh"
    news: Literal["null", "planted"] = "planted"
    strength: float = Field(default=0.8, ge=0, le=1)
    coverage: float = Field(default=0.6, gt=0, le=1)
    seed: int = 20130301
    faults: FaultPlan = FaultPlan()
    now: datetime = datetime(2013, 3, 2, 12, 0, tzinfo=UTC)

    @model_validator(mode="after")
    def _aware(self) -> SandboxSpec:
        if self.now.tzinfo is None:
            raise ValueError(f"now {self.now} has no time zone; write e.g. 2013-03-02T12:00:00Z")
        return self


class TrainingSpec(BaseModel):
    """Which recipe to fine-tune, with which seed, where base models are cached."""

    model_config = _FROZEN

    recipe: str = "smollm2-135m"
    seed: int = 7
    cache: Path = Path("models")
    zero_shot: bool = Field(default=True, description="score the base model as a baseline")


class ShardSpec(BaseModel):
    """What runs the shards of `ingest-in-shards`: processes of this machine, or a Dask cluster."""

    model_config = _FROZEN

    runner: Literal["processes", "dask"] = "processes"
    workers: int = Field(default=2, ge=1, description="processes; ignored with a scheduler")
    scheduler: str | None = Field(default=None, description="Dask's, e.g. tcp://HOST:8786")


class ArchiveSpec(BaseModel):
    """How the columns of imported files are read, unless a command says otherwise."""

    model_config = _FROZEN

    prices: PriceMapping | None = None
    headlines: HeadlineMapping | None = None


class AlarmSpec(BaseModel):
    """Who hears of failed runs besides the stack's own inbox; both may be given.

    `block` names a notification block that the Prefect server keeps, `TYPE/NAME` as in the UI,
    e.g. `slack-webhook/desk`: its secret stays there. `webhook` is a URL without secrets that
    gets a JSON object by POST: subject, flow, run, state, message, at, url.
    """

    model_config = _FROZEN

    block: str | None = Field(default=None, pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    webhook: str | None = Field(default=None, pattern=r"^https?://")


def _preset(feed: object) -> object:
    """A feed given by name is a shipped preset."""
    return preset_fields(feed) if isinstance(feed, str) else feed


class Settings(BaseSettings):
    """Everything a run depends on besides the clock and the outside world."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="NEWSVANE_", env_nested_delimiter="__"
    )

    data_root: Path = Path("data")
    warehouse: LakeSpec = LakeSpec()
    universe: UniverseSpec = UniverseSpec()
    history: HistorySpec = HistorySpec()
    sandbox: SandboxSpec | None = None
    prices: PriceSpec = PriceSpec()
    patience: PatienceSpec = PatienceSpec()
    feed_limits: FeedLimits = FeedLimits()
    feeds: tuple[Annotated[FeedSpec, BeforeValidator(_preset)], ...] = ()
    stale_after: timedelta = timedelta(days=4)
    archive: ArchiveSpec = ArchiveSpec()
    shards: ShardSpec = ShardSpec()
    maintenance: MaintenanceSpec = MaintenanceSpec()
    dataset: DatasetSpec = DatasetSpec()
    training: TrainingSpec = TrainingSpec()
    retraining: RetrainSpec = RetrainSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    walk_forward: WalkForwardSpec = WalkForwardSpec(train=160, validation=20, test=60)
    alarms: AlarmSpec = AlarmSpec()
    selection: ConfigSelection = ConfigSelection()

    def placed_below(self, folder: Path) -> Settings:
        """The same settings with `data_root` taken from `folder`, and all data below `data_root`.

        Absolute paths stay as they are.
        """
        root = folder / self.data_root
        aliases = self.universe.aliases
        endpoint = self.warehouse.endpoint or os.environ.get("AWS_ENDPOINT_URL") or None
        lake = self.warehouse.placed_below(root)
        return self.model_copy(
            update={
                "data_root": root,
                "universe": self.universe.model_copy(
                    update={"aliases": aliases and folder / aliases}
                ),
                "warehouse": lake.model_copy(update={"endpoint": endpoint}),
                "prices": self.prices.model_copy(update={"cache": root / self.prices.cache}),
                "training": self.training.model_copy(update={"cache": root / self.training.cache}),
            }
        )


def load_settings(
    config: Path | None = None, profile: str | None = None, overrides: Iterable[str] = ()
) -> Settings:
    """Read, merge and check the configuration.

    Without `config`, `newsvane.toml` of the working directory is read if there is one. Relative
    data paths are taken from the file's folder. Raises ConfigurationError.
    """
    chosen = ConfigSelection(config=config, profile=profile, overrides=tuple(overrides))
    path = config or DEFAULT_FILE
    tables = profiled(read(path, required=config is not None), profile, path)
    tables["selection"] = chosen.model_dump()

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, tables)

    try:
        return FromFile(**parsed(chosen.overrides)).placed_below(path.parent)
    except ValidationError as error:
        raise ConfigurationError(_in_words(error, path)) from error


def _in_words(error: ValidationError, path: Path) -> str:
    problems = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"]) or "(whole file)"
        if detail["type"] == "extra_forbidden":
            problems.append(f"{key} is not a setting (got {detail['input']!r})")
        else:
            problems.append(f"{key}: {detail['msg']} (got {detail['input']!r})")
    return (
        f"The configuration from {path} and its overrides is not usable: {'; '.join(problems)}. "
        "Correct it there, in NEWSVANE_… variables or in --set; nothing was run."
    )
