"""The landing zone: every vendor payload as received, compressed, under the hash of its bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


class LandingError(RuntimeError):
    """A payload is missing from the landing zone or its bytes no longer match their hash."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One answer of a vendor, before anyone has parsed it. `fetched_at` is UTC."""

    source: str
    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    fetched_at: datetime

    @property
    def payload_id(self) -> str:
        """sha256 of the body as received, in hex."""
        return hashlib.sha256(self.body).hexdigest()


class Landing:
    """A content-addressed folder of payload bodies. Writing the same body twice is a no-op."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def store(self, payload: Payload) -> str:
        """Keep the body durably and return its payload_id; nothing half-written is ever visible."""
        payload_id = payload.payload_id
        path = self._path(payload_id)
        if path.exists():
            return payload_id
        path.parent.mkdir(parents=True, exist_ok=True)
        # mtime=0 keeps the compressed bytes a function of the body alone.
        packed = gzip.compress(payload.body, compresslevel=6, mtime=0)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with partial.open("wb") as stream:
            stream.write(packed)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        return payload_id

    def load(self, payload_id: str) -> bytes:
        """The body stored under `payload_id`. Raises LandingError if absent or altered."""
        path = self._path(payload_id)
        if not path.is_file():
            raise LandingError(f"Payload {payload_id} is not in the landing zone {self.root}.")
        try:
            body = gzip.decompress(path.read_bytes())
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise LandingError(
                f"Payload {payload_id} is damaged on disk ({error}). Restore it from a backup."
            ) from error
        found = hashlib.sha256(body).hexdigest()
        if found != payload_id:
            raise LandingError(
                f"Payload {payload_id} hashes to {found}: the file was altered after it landed. "
                "Restore it from a backup; do not replay it."
            )
        return body

    def _path(self, payload_id: str) -> Path:
        return self.root / payload_id[:2] / f"{payload_id}.gz"
