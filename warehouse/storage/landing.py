"""The landing zone: every vendor payload as received, compressed, under the hash of its bytes."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from warehouse.lake.spec import LakeSpec
from warehouse.storage.object_store import ByteStore, FolderStore, open_store


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
    """Payload bodies under their hashes. Writing the same body twice is a no-op."""

    def __init__(self, root: Path | ByteStore) -> None:
        self._store = FolderStore(root) if isinstance(root, Path) else root

    @classmethod
    def of(cls, spec: LakeSpec) -> Landing:
        """The landing zone of a warehouse: a folder or a bucket, as its spec says."""
        return cls(open_store(spec.landing, spec.endpoint))

    def store(self, payload: Payload) -> str:
        """Keep the body durably and return its payload_id; nothing half-written is ever visible."""
        payload_id = payload.payload_id
        if not self._store.exists(_name(payload_id)):
            # mtime=0 keeps the compressed bytes a function of the body alone.
            packed = gzip.compress(payload.body, compresslevel=6, mtime=0)
            self._store.write(_name(payload_id), packed)
        return payload_id

    def load(self, payload_id: str) -> bytes:
        """The body stored under `payload_id`. Raises LandingError if absent or altered."""
        try:
            with self._store.open(_name(payload_id)) as stream:
                body = gzip.decompress(stream.read())
        except FileNotFoundError as error:
            raise LandingError(
                f"Payload {payload_id} is not in the landing zone {self._store.location}. "
                "Restore it from a backup, or check the configured landing zone."
            ) from error
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

    def landed(self) -> Iterator[tuple[str, datetime]]:
        """Every payload_id in the zone and when it was written (UTC)."""
        for stored in self._store.listed():
            if stored.name.endswith(_SUFFIX):
                yield stored.name.rpartition("/")[2].removesuffix(_SUFFIX), stored.written_at

    def discard(self, payload_id: str) -> None:
        """Forget a payload for good; for retention alone, never for one that a row refers to."""
        self._store.delete(_name(payload_id))


_SUFFIX = ".gz"


def _name(payload_id: str) -> str:
    return f"{payload_id[:2]}/{payload_id}{_SUFFIX}"
