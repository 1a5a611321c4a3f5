"""Commands about data sets: build, show, compare, rebuild, export."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.chosen import prepared, settings_of

app = typer.Typer(help="Build, compare and rebuild training sets.", no_args_is_help=True)


@app.command()
def build(context: typer.Context) -> None:
    """Build the data set the configuration describes; an equal one is not built twice."""
    settings = prepared(context)
    from flows.console import progress_bars, show_dataset
    from flows.dataset import build_dataset

    with progress_bars():
        manifest = build_dataset(settings.selection)
    show_dataset(manifest)


@app.command()
def show(
    context: typer.Context,
    dataset_id: Annotated[str | None, typer.Argument(help="Default: the newest.")] = None,
) -> None:
    """Show a data set's identity, counts, balance and what was dropped."""
    settings = settings_of(context)
    from flows.console import show_dataset
    from flows.dataset import find_dataset

    show_dataset(find_dataset(settings, dataset_id))
