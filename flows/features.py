"""Imports of own columns: what [[features]] describes, read again from its files and databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect.artifacts import create_table_artifact

from flows.connections import archive_clock, clock_of
from flows.platform.display import IngestSummary, current_sink
from flows.platform.runtime import configured_flow
from flows.publish import publish_feature_batch
from flows.settings import ConfigurationError, Settings
from tasks.ingest.archive_file import ArchiveError
from tasks.ingest.archives.preview import Preview
from tasks.ingest.features.archive import FeatureArchive, as_rows, open_features
from tasks.ingest.features.spec import FeatureSource
from tasks.ingest.planning import DateRange
from validation.gate import BatchRefused
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import FeatureBatch, Land, PublishError


def chosen_features(settings: Settings, names: Sequence[str]) -> tuple[FeatureSource, ...]:
    """The sources of these names, all of them without any. Raises ConfigurationError."""
    known = {source.name: source for source in settings.features}
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        wanted = f"the features {unknown[0]!r}" if unknown else "features to import"
        raise ConfigurationError(
            f"The configuration has no {wanted}; its [[features]] are: "
            f"{', '.join(known) or 'none'}. Add a [[features]] table with name, file, known_at and "
            "values; docs/how-to/own-columns.md shows one. Nothing was imported."
        )
    return tuple(known[name] for name in names or known)


@configured_flow("import features", run_name="import features")
def import_features(settings: Settings, names: tuple[str, ...] = ()) -> IngestSummary:
    """Import the sets of own columns that are named, by default all; one commit a set."""
    total = None
    for source in chosen_features(settings, names):
        done = _imported(settings, source)
        total = done if total is None else total.plus(done)
    assert total is not None
    create_table_artifact(total.table(), key="import", description="Import of own columns")
    return total


def import_what_is_there(settings: Settings, days: DateRange) -> IngestSummary:
    """Import every configured set; one that cannot be read is missing, and the rest goes on.

    `days` are those of the job; the rows of the files are not added up with what it asked for.
    """
    apart = {"rows": 0, "repeated": 0, "refused": 0, "reasons": {}, "reading": {}}
    total = IngestSummary(start=days[0], end=days[1])
    for source in settings.features:
        try:
            done = _imported(settings, source)
            total = total.plus(done.model_copy(update=apart))
        except (ArchiveError, BatchRefused, PublishError) as error:
            total = total.plus(
                IngestSummary(
                    start=days[0],
                    end=days[1],
                    missing=((f"features {source.name}", str(error)),),
                )
            )
    return total


def preview_features(settings: Settings, source: FeatureSource) -> Preview:
    """How a set would be read and which rows refused; nothing is landed or published."""
    with _opened(settings, source) as archive, Lake.open(settings.warehouse) as lake:
        batch = _batch(settings, lake, archive, lambda payload: payload.payload_id)
        preview = Preview(archive.words(), batch.rows)
        return preview.plus(as_rows(batch.features, source), batch.repeated, batch.rejects)


def _imported(settings: Settings, source: FeatureSource) -> IngestSummary:
    land = Landing.of(settings.warehouse).store
    with _opened(settings, source) as archive, Lake.open(settings.warehouse) as lake:
        now = archive.payload.fetched_at
        batch = _batch(settings, lake, archive, land)
        days = (now.date(), now.date())
        done = publish_feature_batch(
            settings, lake, batch, f"features {source.name}", days, now
        ).model_copy(update={"reading": archive.words()})
    current_sink().advance(f"import features {source.name}", done.features, None)
    return done


def _batch(settings: Settings, lake: Lake, archive: FeatureArchive, land: Land) -> FeatureBatch:
    stored = lake.read("tickers_known")["ticker"].to_pylist()
    return archive.batch(land, {*settings.universe.tickers, *stored})


@contextmanager
def _opened(settings: Settings, source: FeatureSource) -> Iterator[FeatureArchive]:
    with open_features(source, clock=clock_of(settings)) as archive:
        newest = archive.newest() if settings.sandbox is not None else None
        yield archive.at(archive_clock(settings, newest)())
