"""Read what Newsvane holds, in a notebook or a script. Nothing here can write.

    import newsvane

    with newsvane.connect("data") as reader:
        train = reader.dataset().split("train").to_pandas()
        news = reader.headlines(asof="2012-06-04T13:25:00Z", tickers=["AAPL"])

Every answer is a `Rows`: one Arrow table, with the grain of its rows, that turns into pandas,
polars or a Hugging Face data set. Instants are UTC. Errors are `ReadError` (what was asked cannot
be answered) or the warehouse's `LakeError`; both say what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from newsvane.errors import ReadError
from newsvane.reader import Reader
from newsvane.results import Dataset, Evaluation, Rows

__all__ = ["Dataset", "Evaluation", "ReadError", "Reader", "Rows", "connect"]


def connect(
    root: Path | str | None = None,
    *,
    config: Path | str | None = None,
    profile: str | None = None,
    overrides: Iterable[str] = (),
    snapshot: int | None = None,
) -> Reader:
    """Open a warehouse for reading: by its data root, or by configuration.

    `root`: a folder with `catalog.sqlite`, e.g. "data". Otherwise `config` (default: the
    nearest newsvane.toml), `profile` and `overrides` ("key=value") choose as the command line does;
    that is also the way to a warehouse on PostgreSQL and S3. `snapshot`: read it as it was then,
    e.g. `dataset.snapshot_id`. Nothing is created, migrated or locked.

    Raises ReadError when both ways are mixed, LakeError when there is no warehouse or this release
    cannot read it, ConfigurationError when the configuration is not usable.
    """
    from tasks.dataset.spec.clock import ClockSpec
    from warehouse.lake import Lake
    from warehouse.lake.spec import LakeSpec

    chosen = tuple(overrides)
    if root is not None:
        if config or profile or chosen:
            raise ReadError(
                f"connect got the data root {str(root)!r} and a configuration; expected one of "
                "them. Leave out root, or leave out config, profile and overrides."
            )
        folder = Path(root)
        lake = Lake.reading(LakeSpec().placed_below(folder), snapshot=snapshot)
        return Reader(lake, folder, ClockSpec())
    from flows.settings import load_settings

    settings = load_settings(Path(config) if config else None, profile, chosen)
    lake = Lake.reading(settings.warehouse, snapshot=snapshot)
    return Reader(lake, settings.data_root, settings.dataset.clock, settings.evaluation)
