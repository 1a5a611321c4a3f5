"""Commands about sources: archives in, landed payloads read again, feeds and tickers checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.context import prepared, settings_of

app = typer.Typer(help="Look at the sources.", no_args_is_help=True)
replay_app = typer.Typer()
import_app = typer.Typer(help="Bring in archives you already have.", no_args_is_help=True)
SHOWN = ["source", "key", "stale", "last_success_at", "newest_item", "rows", "last_error"]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column holds which field."),
]


@import_app.command()
def prices(context: typer.Context, file: Path, map_: MapOption = None) -> None:
    """Import daily bars from a CSV, JSONL or Parquet file."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_ingest
    from flows.imports import import_prices

    with progress_bars():
        outcome = import_prices(settings.selection, file, _pairs(map_))
    show_ingest(outcome)
    outcome.require_complete()


@import_app.command()
def headlines(context: typer.Context, file: Path, map_: MapOption = None) -> None:
    """Import dated headlines from a CSV, JSONL or Parquet file."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_ingest
    from flows.imports import import_headlines

    with progress_bars():
        outcome = import_headlines(settings.selection, file, _pairs(map_))
    show_ingest(outcome)
    outcome.require_complete()


@app.command()
def check(context: typer.Context) -> None:
    """Show every feed and ticker with its freshness and last error; fail when one is stale."""
    settings = settings_of(context)
    from flows.cli.console import show_table
    from flows.replay import check_sources

    table, alarms = check_sources(settings)
    show_table(table.select(SHOWN))
    for alarm in alarms:
        typer.echo(alarm)
    raise typer.Exit(1 if alarms else 0)


@replay_app.command()
def replay(context: typer.Context) -> None:
    """Read every landed payload again with today's parser and publish what differs."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_ingest
    from flows.replay import replay as replay_flow

    with progress_bars():
        outcome = replay_flow(settings.selection)
    show_ingest(outcome)
    outcome.require_complete()


def _pairs(texts: list[str] | None) -> dict[str, str]:
    from flows.config_file import ConfigurationError

    pairs = {}
    for text in texts or ():
        field, separator, column = text.partition("=")
        if not separator or not field or not column:
            raise ConfigurationError(f"--map got {text!r}; expected FIELD=COLUMN, e.g. title=text.")
        pairs[field] = column
    return pairs
