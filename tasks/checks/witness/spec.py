"""Witness settings, and what a witness does: keep deposits, and give them back as they came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.ingest.http.redaction import holds_secret, redacted

_REFERENCE = re.compile(r"\$\{\w+\}")
_SSH_USER = re.compile(r"^ssh://[\w.-]+@")
"""Of an address by ssh the user is no secret; before https a lone name may be a token."""
_SCHEMES = {"rfc3161": ("http://", "https://"), "http": ("http://", "https://")}


class WitnessError(RuntimeError):
    """A witness could not be asked, or took no deposit; the message says why, without secrets."""


class WitnessSpec(BaseModel):
    """One witness: a git remote, an RFC 3161 time-stamping authority, or an HTTP endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["git", "rfc3161", "http"]
    """What holds the copy: a git remote, an authority or an endpoint."""
    url: str = Field(min_length=1)
    """What `git clone` takes, the authority's address, or an endpoint that appends what is posted
    and answers GET with a JSON array of all of it."""
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    """Branch of the git remote."""
    token: str | None = None
    """For HTTP, sent as a bearer token and given by reference, `${NAME}`; none: no token."""
    certificates: Path | None = None
    """For an authority, a PEM file of the root certificates (and intermediate ones) that its time
    stamps must lead to; none: not given."""
    timeout: float = Field(default=30.0, gt=0, le=300)
    """Seconds of one request or git command."""
    latest: float = Field(default=7.0, gt=0)
    """Days after which a time stamp is too late to show that the chain was there when it says it
    was."""

    @model_validator(mode="after")
    def _usable(self) -> WitnessSpec:
        shown = redacted(self.url)
        if holds_secret(_SSH_USER.sub("ssh://", self.url)):
            raise ValueError(
                f"the witness's url {shown} spells a secret out; expected ${{NAME}} in its place, "
                "or for git an ssh key or a credential helper"
            )
        if self.kind == "git" and (self.url.startswith("-") or "${" in self.url):
            raise ValueError(
                f"a git witness's url is what `git clone` takes, got {shown}; its credentials come "
                "from ssh or a credential helper, never from the url"
            )
        if not self.url.startswith(_SCHEMES.get(self.kind, ("",))):
            raise ValueError(f"a witness by {self.kind} needs an http or https url, got {shown}")
        if self.token is not None and not _REFERENCE.fullmatch(self.token):
            raise ValueError("a witness's token is a reference such as ${WITNESS_TOKEN}")
        if (self.kind == "rfc3161") != (self.certificates is not None):
            raise ValueError(
                "certificates, a PEM file of root certificates, go with kind rfc3161, and it with "
                "them: whose signature counts is not for the authority to say"
            )
        if self.token is not None and self.kind != "http":
            raise ValueError(f"a token goes with kind http, got kind {self.kind}")
        return self


@dataclass(frozen=True, slots=True)
class Copy:
    """A deposit as a witness gives it back. `at` (UTC): the time that a signature vouches for."""

    name: str
    document: bytes
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that a witness keeps, oldest first, and what is wrong with its own copies."""

    copies: Sequence[Copy]
    problems: Sequence[str] = ()


class Witness(Protocol):
    """Keeps deposits. Both methods raise WitnessError."""

    def kept(self) -> Kept:
        """Every deposit that was stored, oldest first."""
        ...

    def store(self, name: str, document: bytes) -> None:
        """Store one more deposit; `name` orders it behind those before."""
        ...
