"""Files somebody keeps, as sources: opened lazily under declared columns, landed as a manifest.

The file stays where it is. What lands is a manifest with its name, size, sha256 and mapping, so
that every row points at the exact bytes it came from however large they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
from pydantic import BaseModel

from warehouse.storage.atomic import file_sha256
from warehouse.storage.landing import Payload

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_FORMATS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}


class ArchiveError(ValueError):
    """A file cannot be imported as declared; the message says which part does not fit."""


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


def manifest(path: Path, source: str, mapping: BaseModel, now: datetime) -> Payload:
    """The payload that stands for the file: equal bytes under an equal mapping, equal payload."""
    body = {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "mapping": mapping.model_dump(mode="json"),
    }
    return Payload(
        source=source,
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
