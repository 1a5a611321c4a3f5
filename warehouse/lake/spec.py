"""Where the warehouse lives, by configuration alone."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_PASSWORD = re.compile(r"password\s*=|//[^/@]*:[^/@]*@", re.IGNORECASE)

_BELOW_ROOT = re.compile(r"(?:^|/)((?:datasets|models)/[^/]+)/?$")


class LakeError(RuntimeError):
    """The warehouse could not be opened, read or written; the message says what to do next."""


class LakeSpec(BaseModel):
    """Where the warehouse lives and how much of the machine it may use."""

    # A refused value may hold a password, so errors do not repeat it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    catalog: str = "sqlite:catalog.sqlite"
    """What DuckLake attaches: `sqlite:PATH`, or `postgres:CONNECTION`, a libpq connection string
    without a password: that is PGPASSWORD's or a passfile's."""
    storage: str = "lake"
    """Folder or `s3://BUCKET/PREFIX` of the data files. The keys to a bucket are AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_REGION in the environment."""
    landing: str = "landing"
    """Folder or `s3://BUCKET/PREFIX` of the payloads as received."""
    endpoint: str | None = None
    """URL of an S3-compatible store; none: AWS itself."""
    lock: Path = Path("writer.lock")
    """File that serialises writers on one machine; on a PostgreSQL catalog they are serialised
    across machines too."""
    root: Path = Path()
    """The data root, below which the files of data sets and models lie; set by `data_root`, not by
    hand."""
    kind: Literal["sandbox", "live"] | None = None
    """Whose data is to be written, of the sandbox or of the world outside (`live`); none asks
    nothing. Set by the profile, not by hand."""
    threads: int = Field(default=2, ge=1)
    """Threads of DuckDB."""
    memory_limit: str = "1GB"
    """Most memory that DuckDB takes before it spills to disk, as DuckDB spells sizes."""
    commit_attempts: int = Field(default=8, ge=1)
    """How often a commit is tried that another writer's came before."""
    lock_patience: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(0))
    """How long a catalog that another program holds is waited for."""

    @field_validator("catalog")
    @classmethod
    def _without_password(cls, catalog: str) -> str:
        if _PASSWORD.search(catalog):
            # Not repeated here: the message ends up in logs.
            raise ValueError(
                "the warehouse catalog holds a password; expected none in the configuration. "
                "Remove it there and set PGPASSWORD (or a passfile) in the environment"
            )
        return catalog

    def placed_below(self, root: Path) -> LakeSpec:
        """The same warehouse with its relative paths taken from `root`.

        Absolute paths, servers and buckets stay as they are.
        """
        kind, _, location = self.catalog.partition(":")
        moved = {
            "catalog": f"sqlite:{root / location}" if kind == "sqlite" else self.catalog,
            "storage": self.storage if is_bucket(self.storage) else str(root / self.storage),
            "landing": self.landing if is_bucket(self.landing) else str(root / self.landing),
            "lock": root / self.lock,
            "root": root,
        }
        return self.model_copy(update=moved)

    def of_any_kind(self) -> LakeSpec:
        """The same warehouse for whoever only reads it: whose data it holds is not asked."""
        return self.model_copy(update={"kind": None})

    def named(self, path: Path) -> str:
        """How the warehouse names a file or folder: by its place below the data root, if it is."""
        whole, root = path.absolute(), self.root.absolute()
        return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)

    def placed(self, name: str) -> Path:
        """Where what `named` gave is now, whatever folder this runs in and wherever the root went.

        Former releases stored the path as it was given, absolute or relative to where they ran: of
        these the last part, below `datasets` or `models` of the data root, still holds.
        """
        former = _BELOW_ROOT.search(name)
        if former is not None:
            here = self.root / former[1]
            return here if here.exists() or not Path(name).exists() else Path(name)
        return self.root / name

    @property
    def catalog_kind(self) -> str:
        """`sqlite` or `postgres`. Raises LakeError for anything else."""
        return self._catalog_parts()[0]

    @property
    def catalog_location(self) -> str:
        """The path or the connection string of the catalog. Raises LakeError if there is none."""
        return self._catalog_parts()[1]

    def _catalog_parts(self) -> tuple[str, str]:
        kind, _, location = self.catalog.partition(":")
        if kind not in {"sqlite", "postgres"} or not location:
            raise LakeError(
                f"Warehouse catalog {self.catalog!r} is not usable; expected sqlite:PATH or "
                "postgres:CONNECTION. Correct [warehouse] catalog in newsvane.toml."
            )
        return kind, location


def is_bucket(location: str) -> bool:
    """Whether a location is an object store's and not a folder."""
    return location.startswith("s3://")
