"""One configuration file, read once into one frozen object. Only `flows` imports this module.

Order of precedence: `--set` on the command line, `NEWSVANE_…` in the environment, the chosen
profile's table, the file's base tables. The profile is that of `--profile`, else of
`NEWSVANE_PROFILE`, else the file's `profile`. Secrets come through the environment only.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from sandbox.spec import SandboxSpec
from tasks.checks.witness.spec import WitnessSpec
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.split import WalkForwardSpec
from tasks.evaluation.spec import EvaluationSpec
from tasks.ingest.features.spec import FeatureSource, with_sources
from tasks.ingest.headlines.feeds import FeedSpec, preset_fields
from tasks.ingest.http.redaction import holds_secret, redacted
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.spec import ArchiveSpec, HistorySpec, HttpSpec, UniverseSpec, with_new_names
from tasks.ingest.universe import MembershipError
from tasks.prediction.registry import RetrainSpec
from warehouse.lake import LakeSpec
from warehouse.lake.home import provide_home
from warehouse.ops.maintenance import MaintenanceSpec

PROFILE = "NEWSVANE_PROFILE"
"""The environment variable that chooses a profile where the command line does not."""
DEFAULT_FILE = Path("newsvane.toml")


class ConfigurationError(ValueError):
    """The configuration cannot be used; the message names the key, the value and the remedy."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigSelection(_Table):
    """Which configuration a flow runs with; small enough to be a parameter in the Prefect UI."""

    config: Path | None = Field(default=None, description="newsvane.toml; empty: the nearest")
    profile: str | None = Field(default=None, description="sandbox, live, stocknet or your own")
    overrides: tuple[str, ...] = Field(default=(), description="KEY=VALUE settings to override")

    def overridden(self, *overrides: str) -> ConfigSelection:
        """This selection with further `KEY=VALUE` overrides, which win over its own."""
        return self.model_copy(update={"overrides": (*self.overrides, *overrides)})


class TrainingSpec(_Table):
    """Which recipe to fine-tune, with which seed, where base models are cached."""

    recipe: str = "smollm2-135m"
    """Name of a shipped recipe, or the path of a YAML file."""
    seed: int = 7
    """Seed of the draw of rows, their order and the adapter's first weights."""
    cache: Path = Path("models")
    """Folder of converted and fetched base models, relative to `data_root`."""
    zero_shot: bool = True
    """Whether the base model is scored untrained, as a baseline."""


class ShardSpec(_Table):
    """What runs the shards of `ingest-in-shards`: processes of this machine, or a Dask cluster."""

    runner: Literal["processes", "dask"] = "processes"
    """Processes of this machine, or a Dask cluster."""
    workers: int = Field(default=2, ge=1)
    """Number of processes; ignored with a scheduler."""
    scheduler: str | None = None
    """Address of Dask's scheduler, e.g. `tcp://HOST:8786`; none: a cluster of this machine."""


class AlarmSpec(_Table):
    """Who hears of failed runs besides the stack's own inbox; both may be given."""

    block: str | None = Field(default=None, pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    """Notification block that the Prefect server keeps, `TYPE/NAME` as in the UI, e.g.
    `slack-webhook/research`: its secret stays there. None: no block."""
    webhook: str | None = Field(default=None, pattern=r"^https?://")
    """URL without secrets that gets a JSON object by POST: subject, flow, run, state, message, at,
    url. None: no POST."""

    @field_validator("block", "webhook", mode="before")
    @classmethod
    def _none_if_empty(cls, given: object) -> object:
        return given or None  # as an environment variable that a compose file passes on


WitnessName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""What a witness is called; it names a folder, too."""


def _preset(feed: object) -> object:
    """A feed given by name is a shipped preset."""
    return preset_fields(feed) if isinstance(feed, str) else feed


class Settings(BaseSettings):
    """Everything a run depends on besides the clock and the outside world."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="NEWSVANE_", env_nested_delimiter="__"
    )

    data_root: Path = Path("data")
    """Folder below which everything is kept; a relative one is below the folder of the
    configuration file."""
    warehouse: LakeSpec = LakeSpec()
    universe: UniverseSpec = UniverseSpec()
    history: HistorySpec = HistorySpec()
    sandbox: SandboxSpec | None = None
    prices: PriceSpec = PriceSpec()
    http: HttpSpec = HttpSpec()
    # Former names of `http.prices` and `http.feeds`, still read.
    patience: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)
    feed_limits: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)
    feeds: tuple[Annotated[FeedSpec, BeforeValidator(_preset)], ...] = ()
    """The feeds of headlines, in any number."""
    features: tuple[FeatureSource, ...] = ()
    """The sets of own columns, in any number."""
    stale_after: timedelta = timedelta(days=4)
    """A source that has not answered for so long is shown as stale, and by `newsvane doctor` as a
    fault."""
    archive: ArchiveSpec = ArchiveSpec()
    shards: ShardSpec = ShardSpec()
    maintenance: MaintenanceSpec = MaintenanceSpec()
    dataset: DatasetSpec = DatasetSpec()
    training: TrainingSpec = TrainingSpec()
    retraining: RetrainSpec = RetrainSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    walk_forward: WalkForwardSpec = WalkForwardSpec(train=160, validation=20, test=60)
    """The folds of `newsvane evaluate --walk-forward`."""
    alarms: AlarmSpec = AlarmSpec()
    witness: dict[WitnessName, WitnessSpec] = Field(default_factory=dict)
    """The witnesses of the hash chain, by name."""
    selection: ConfigSelection = ConfigSelection()

    @model_validator(mode="before")
    @classmethod
    def _renamed_keys(cls, given: dict[str, Any]) -> dict[str, Any]:
        return with_sources(with_new_names(given))

    @model_validator(mode="after")
    def _declared_to_edgar(self) -> Settings:
        asks = [feed.name for feed in self.feeds if feed.edgar is not None]
        if asks and self.sandbox is None and not self.http.feeds.names_contact:
            raise ValueError(
                f"the feed {asks[0]!r} asks the SEC, which serves only who declares himself: "
                "http.feeds.user_agent needs a contact address, such as 'Example Research "
                f"research@example.com', got {self.http.feeds.user_agent!r}"
            )
        return self

    def placed_below(self, folder: Path) -> Settings:
        """The same settings with `data_root` taken from `folder`, and all data below `data_root`.

        Absolute paths stay as they are. Raises MembershipError for an unusable `universe.index`.
        """
        root = folder / self.data_root
        universe = self.universe.placed_below(folder, self.dataset.label.benchmark)
        endpoint = self.warehouse.endpoint or os.environ.get("AWS_ENDPOINT_URL") or None
        lake = self.warehouse.placed_below(root)
        sandbox = self.sandbox
        if sandbox is not None and sandbox.recorded is not None:
            sandbox = sandbox.model_copy(update={"recorded": folder / sandbox.recorded})
        witnesses = {
            name: one.model_copy(update={"certificates": folder / one.certificates})
            if one.certificates
            else one
            for name, one in self.witness.items()
        }
        placed = {
            "witness": witnesses,
            "data_root": root,
            "sandbox": sandbox,
            "features": tuple(
                source.model_copy(update={"file": folder / source.file}) for source in self.features
            ),
            "universe": universe,
            "dataset": self.dataset.model_copy(
                update={"universe": self.dataset.universe or universe.dated}
            ),
            "warehouse": lake.model_copy(
                update={"endpoint": endpoint, "kind": "sandbox" if self.sandbox else "live"}
            ),
            "prices": self.prices.model_copy(update={"cache": root / self.prices.cache}),
            "training": self.training.model_copy(update={"cache": root / self.training.cache}),
        }
        return self.model_copy(update=placed)


def find_configuration(folder: Path) -> Path:
    """The `newsvane.toml` of a folder, or the nearest above it. Raises ConfigurationError."""
    for place in (folder, *folder.parents):
        if (place / DEFAULT_FILE).is_file():
            return place / DEFAULT_FILE
    raise ConfigurationError(
        f"There is no {DEFAULT_FILE} in {folder} or in a folder above it. `newsvane init TICKER …` "
        "writes one; --config names one elsewhere. Nothing was asked for or written."
    )


def load_settings(
    config: Path | None = None, profile: str | None = None, overrides: Iterable[str] = ()
) -> Settings:
    """Read, merge and check the configuration.

    Without `config`, the nearest `newsvane.toml` is read, of the working directory or above it;
    without `profile`, NEWSVANE_PROFILE chooses it. Relative data paths are taken from the file's
    folder. Raises ConfigurationError, also when there is no file.
    """
    profile = profile or os.environ.get(PROFILE, "").strip() or None
    chosen = ConfigSelection(config=config, profile=profile, overrides=tuple(overrides))
    path = config or find_configuration(Path.cwd())
    tables = _with_feed_files(_profiled(_read(path), profile, path), path.parent)
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
        given = _with_feed_files(_parsed(chosen.overrides), path.parent)
        settings = FromFile(**given).placed_below(path.parent)
    except ValidationError as error:
        raise ConfigurationError(_in_words(error, path)) from error
    except MembershipError as error:
        raise ConfigurationError(str(error)) from error
    # Every command and every run comes by here before it calls a library that wants a home.
    provide_home(settings.data_root)
    return settings


def _in_words(error: ValidationError, path: Path) -> str:
    problems = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"]) or "(whole file)"
        unknown = detail["type"] == "extra_forbidden"
        problem = f"{key} is not a setting" if unknown else f"{key}: {detail['msg']}"
        problems.append(f"{problem} (got {detail['input']!r})")
    return redacted(
        f"The configuration from {path} and its overrides is not usable: {'; '.join(problems)}. "
        "Correct it there, in NEWSVANE_… variables or in --set; nothing was run."
    )


def _read(path: Path) -> dict[str, Any]:
    """The file's tables. Raises ConfigurationError."""
    if not path.is_file():
        raise ConfigurationError(
            f"Configuration file {path} does not exist; expected a TOML file. "
            "Correct --config, or leave it out to use the nearest newsvane.toml."
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}. Correct that line and run the command again."
        ) from error


def _profiled(tables: dict[str, Any], profile: str | None, path: Path) -> dict[str, Any]:
    """The base tables under those of a profile and of the profiles it inherits from."""
    profiles, configured = tables.pop("profiles", {}), tables.pop("profile", None)
    name = profile or configured
    chain: dict[str, dict[str, Any]] = {}
    while name is not None:
        if name not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise ConfigurationError(
                f"Profile {name!r} is not defined in {path}; it defines: {known}. "
                f"Choose one of these or add a [profiles.{name}] table."
            )
        if name in chain:
            raise ConfigurationError(
                f"Profile {name!r} in {path} inherits from itself by way of {' and '.join(chain)}; "
                "remove one `inherits`."
            )
        chain[name] = {key: value for key, value in profiles[name].items() if key != "inherits"}
        name = profiles[name].get("inherits")
    for table in reversed(chain.values()):
        tables = _merged(tables, table)
    return tables


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def _with_feed_files(tables: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The tables, files that describe feeds taken from the folder."""

    def placed(feed: object) -> object:
        if isinstance(feed, str) and feed.endswith(".toml"):
            return str(folder / feed)
        if isinstance(feed, dict) and "preset" in feed:
            return feed | {"preset": placed(feed["preset"])}
        return feed

    if not isinstance(feeds := tables.get("feeds"), list):
        return tables
    return tables | {"feeds": [placed(feed) for feed in feeds]}


def _parsed(overrides: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as nested tables; a value that is no TOML is taken as a text."""
    tree: dict[str, Any] = {}
    for text in overrides:
        if holds_secret(text):
            raise ConfigurationError(
                f"--set got a secret in {redacted(text)}; expected a reference such as "
                "token=${NAME} in a feed's address, or PGPASSWORD for a catalog, as overrides are "
                "recorded with the run. Set that environment variable. Nothing was run."
            )
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigurationError(
                f"--set got {text!r}; expected KEY=VALUE, e.g. training.seed=7."
            )
        try:
            setting = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            setting = value.strip()
        *parents, leaf = key.strip().split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = setting
    return tree
