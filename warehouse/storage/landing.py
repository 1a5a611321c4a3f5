"""The landing zone: every vendor payload as received, compressed, under the hash of its bytes.

It is the HTTP cache too: a published answer is sent back as "not modified" when nothing changed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warehouse.lake import Lake
from warehouse.lake.spec import LakeSpec
from warehouse.storage.object_store import ByteStore, FolderStore, open_store
from warehouse.storage.unpacking import UnpackedSizeError, gunzip


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
        if not self._store.exists(payload_name(payload_id)):
            # mtime=0 keeps the compressed bytes a function of the body alone.
            packed = gzip.compress(payload.body, compresslevel=6, mtime=0)
            self._store.write(payload_name(payload_id), packed)
        return payload_id

    def load(self, payload_id: str) -> bytes:
        """The body stored under `payload_id`. Raises LandingError if absent or altered."""
        try:
            with self._store.open(payload_name(payload_id)) as stream:
                packed = stream.read()
            body = gunzip(io.BytesIO(packed), len(packed))
        except FileNotFoundError as error:
            raise LandingError(
                f"Payload {payload_id} is not in the landing zone {self._store.location}. "
                "Restore it from a backup, or check the configured landing zone."
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise LandingError(
                f"Payload {payload_id} is damaged on disk ({error}). Restore it from a backup."
            ) from error
        except UnpackedSizeError as error:
            raise LandingError(
                f"Payload {payload_id} is no payload: its {error}. Restore it from a backup."
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
        self._store.delete(payload_name(payload_id))


_SUFFIX = ".gz"


def payload_name(payload_id: str) -> str:
    return f"{payload_id[:2]}/{payload_id}{_SUFFIX}"


CachedPayload = Callable[[str], Payload | None]
"""Answers the payload cached for an address, or None when it must be fetched afresh."""


def landed_answers(lake: Lake, landing: Landing, source: str) -> Iterator[Payload]:
    """Every answer of `source` that was published, in the order of fetching, with its body.

    Raises LandingError when a body is missing or altered.
    """
    for row in lake.read("feed_answers", {"source": source}).to_pylist():
        yield _payload(row, landing.load(row["payload_id"]))


def cached_answers(lake: Lake, landing: Landing, source: str) -> CachedPayload:
    """The latest published answer of each address of `source`, if it came with a validator.

    Bodies are read from the landing zone when needed; one that is missing or altered counts as
    not cached.
    """
    found = lake.read("feed_answers_cached", {"source": source}).to_pylist()
    by_url = {row["url"]: row for row in found}

    def cached(url: str) -> Payload | None:
        row = by_url.get(url)
        if row is None:
            return None
        try:
            body = landing.load(row["payload_id"])
        except LandingError:
            return None
        return _payload(row, body)

    return cached


def _payload(row: dict[str, Any], body: bytes) -> Payload:
    headers = tuple((name, value) for name, value in json.loads(row["headers"]))
    return Payload(
        row["source"], row["url"], row["status"], headers, body, row["fetched_at"].astimezone(UTC)
    )
