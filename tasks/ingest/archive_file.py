"""Files somebody keeps, as sources: opened lazily under declared columns, landed as a manifest.

The file stays where it is. What lands is a manifest with its name, size, sha256 and mapping, so
that every row points at the exact bytes it came from however large they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pyarrow.csv as pa_csv
from pydantic import BaseModel, ConfigDict, Field

from warehouse.storage.atomic import file_sha256
from warehouse.storage.landing import Payload

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_FORMATS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}


class ArchiveError(ValueError):
    """A file cannot be imported as declared; the message says which part does not fit."""


class ArchiveMapping(BaseModel):
    """Which columns of an archive mean what; `source` names the archive, FIELDS the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    FIELDS: ClassVar[tuple[str, ...]]

    source: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")

    def columns(self) -> dict[str, str]:
        """The archive's column for each field that is mapped."""
        return {name: column for name in self.FIELDS if (column := getattr(self, name)) is not None}


def open_archive(path: Path, columns: Mapping[str, pa.DataType]) -> ds.Dataset:
    """The file as a data set to stream from; `columns` are the types texts are read as.

    Parquet keeps its own types. Raises ArchiveError when the file is absent, of another kind,
    unreadable or lacks one of the columns.
    """
    import pyarrow.dataset as ds  # brings pandas along, which no other command needs

    kind = _FORMATS.get(path.suffix.lower())
    if kind is None or not path.is_file():
        raise ArchiveError(
            f"{path} is not a file that can be imported; expected an existing "
            f"{', '.join(_FORMATS)} file."
        )
    try:
        source = ds.dataset(path, format=_csv_format(columns) if kind == "csv" else kind)
    except (pa.ArrowInvalid, OSError) as error:
        raise ArchiveError(f"{path.name} could not be read as {kind}: {error}.") from error
    if lacking := sorted(set(columns) - set(source.schema.names)):
        raise ArchiveError(
            f"{path.name} has no column {', '.join(map(repr, lacking))}; it has "
            f"{', '.join(source.schema.names)}. Correct the mapping."
        )
    if kind == "json":
        # Declared, so that types do not depend on what the first block of lines happens to hold.
        source = ds.dataset(path, format="json", schema=pa.schema(list(columns.items())))
    return source


@contextmanager
def archive_rows(
    path: Path, source: ds.Dataset, columns: Mapping[str, pa.DataType], batch_rows: int
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows of an open archive, at most `batch_rows` at a time.

    What cannot be read on the way, in the file or by the body of the `with`, is an ArchiveError.
    """
    try:
        batches = source.to_batches(
            columns=list(columns), batch_size=batch_rows, batch_readahead=1, fragment_readahead=1
        )
        yield (rows for rows in batches if rows.num_rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OSError) as error:
        raise ArchiveError(
            f"{path.name} broke off: {error}. What came before it stays imported; mend the file or "
            "its mapping and import it again."
        ) from error


def manifest(path: Path, mapping: ArchiveMapping, now: datetime) -> Payload:
    """The payload that stands for the file: equal bytes under an equal mapping, equal payload."""
    body = {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "mapping": mapping.model_dump(mode="json"),
    }
    return Payload(
        source=mapping.source,
        url=f"file:{path.name}",
        status=200,
        headers=(("content-type", "application/json"),),
        body=json.dumps(body, sort_keys=True).encode(),
        fetched_at=now,
    )


def _csv_format(columns: Mapping[str, pa.DataType]) -> ds.CsvFileFormat:
    import pyarrow.dataset as ds

    return ds.CsvFileFormat(
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=dict(columns), strings_can_be_null=True),
    )
