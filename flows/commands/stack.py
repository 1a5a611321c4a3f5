"""Commands that keep services running: the UI."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.chosen import settings_of

app = typer.Typer()


@app.command()
def ui(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Loopback port of the Prefect UI.")] = 4200,
) -> None:
    """Start a Prefect server on loopback and serve the deployments until interrupted."""
    settings = settings_of(context)
    from flows.serve import serve_ui

    serve_ui(settings, port)
