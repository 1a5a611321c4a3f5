"""Object store: bytes under a name, in a folder or a bucket of an S3-compatible store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from warehouse.lake.spec import is_bucket
from warehouse.storage.atomic import PARTIAL, write_bytes


class StoreError(RuntimeError):
    """An object store could not be reached or refused; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object: its name below the store's root, size in bytes, and time of writing (UTC)."""

    name: str
    bytes: int
    written_at: datetime


class ByteStore(Protocol):
    """Names are relative with `/` between parts. A name once written never shows half its bytes."""

    @property
    def location(self) -> str:
        """Where it is, for people."""

    def exists(self, name: str) -> bool:
        """Whether something is kept under `name`."""

    def open(self, name: str) -> BinaryIO:
        """A stream of what is kept under `name`. Raises FileNotFoundError."""

    def write(self, name: str, body: bytes) -> None:
        """Keep `body` durably under `name`, in place of what was there."""

    def delete(self, name: str) -> None:
        """Forget `name`; nothing happens if it is not kept."""

    def listed(self) -> Iterator[Stored]:
        """Everything kept, in the order of names."""

    def drop_partial(self, older_than: datetime) -> int:
        """Delete what killed writers left half written before `older_than` (UTC); how many."""


class FolderStore:
    """A folder of the local file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def open(self, name: str) -> BinaryIO:
        return (self.root / name).open("rb")

    def write(self, name: str, body: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, body)

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def listed(self) -> Iterator[Stored]:
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.suffix != PARTIAL:
                found = path.stat()
                written_at = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Stored(path.relative_to(self.root).as_posix(), found.st_size, written_at)

    def drop_partial(self, older_than: datetime) -> int:
        left = [
            path
            for path in self.root.rglob(f"*{PARTIAL}")
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) < older_than
        ]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


class BucketStore:
    """A prefix of a bucket. Keys and region come from the AWS_… variables of the environment."""

    def __init__(self, location: str, endpoint: str | None) -> None:
        self.location = location
        self._endpoint = endpoint
        self._root = location.removeprefix("s3://").rstrip("/")

    def exists(self, name: str) -> bool:
        return bool(self._found(f"{self._root}/{name}").is_file)

    def open(self, name: str) -> BinaryIO:
        if not self.exists(name):
            raise FileNotFoundError(f"{self.location}/{name}")
        return cast(BinaryIO, self._files.open_input_stream(f"{self._root}/{name}"))

    def write(self, name: str, body: bytes) -> None:
        # The store shows an object once its upload has been closed, and not before.
        try:
            with self._files.open_output_stream(f"{self._root}/{name}") as stream:
                stream.write(body)
        except OSError as error:
            raise self._refused("written to", error) from error

    def delete(self, name: str) -> None:
        if self.exists(name):
            self._files.delete_file(f"{self._root}/{name}")

    def listed(self) -> Iterator[Stored]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._root, recursive=True, allow_not_found=True)
        try:
            found = self._files.get_file_info(selector)
        except OSError as error:
            raise self._refused("listed", error) from error
        for info in sorted(found, key=lambda info: str(info.path)):
            if info.is_file:
                yield Stored(info.path[len(self._root) + 1 :], info.size, info.mtime)

    def drop_partial(self, older_than: datetime) -> int:
        return 0  # what was not uploaded whole is not there

    @cached_property
    def _files(self) -> Any:
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(endpoint_override=self._endpoint)

    def _found(self, path: str) -> Any:
        try:
            return self._files.get_file_info(path)
        except OSError as error:
            raise self._refused("read", error) from error

    def _refused(self, verb: str, error: OSError) -> StoreError:
        first_line = str(error).splitlines()[0]
        return StoreError(
            f"{self.location} could not be {verb}: {first_line}. Check that the bucket exists, "
            "and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL."
        )


def open_store(location: str | Path, endpoint: str | None = None) -> ByteStore:
    """The store at a folder or at `s3://BUCKET/PREFIX`; nothing is read or made yet."""
    if isinstance(location, str) and is_bucket(location):
        return BucketStore(location, endpoint)
    return FolderStore(Path(location))
