"""Commands that keep services running: ui, up, down; and doctor, which explains what is missing."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.cli.context import command_line_of, prepared, settings_of

app = typer.Typer()
PortOption = Annotated[int, typer.Option(help="Port of the Prefect server and its UI.")]


@app.command()
def ui(context: typer.Context, port: PortOption = 4200) -> None:
    """Start a Prefect server on loopback and serve the deployments until interrupted."""
    settings = settings_of(context)
    from flows.platform.server import serve_ui

    serve_ui(settings, port)


@app.command()
def up(
    context: typer.Context,
    port: PortOption = 4200,
    site_port: Annotated[int, typer.Option(help="Loopback port of the report site.")] = 4280,
    host: Annotated[str, typer.Option(help="Where the Prefect server listens.")] = "127.0.0.1",
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in this terminal; for service managers.")
    ] = False,
) -> None:
    """Start Prefect server, worker, deployments and report site; they stay up."""
    settings = prepared(context)
    from flows.platform.stack import check_exposure, run_stack, start

    words = command_line_of(context)
    if foreground:
        run_stack(settings, words, host=host, port=port, site_port=site_port)
        return
    check_exposure(host, os.environ)
    ports = ("--port", str(port), "--site-port", str(site_port), "--host", host)
    state = start(settings, (*words, "up", *ports, "--foreground"))
    typer.echo(f"Prefect UI: {state['ui']}\nsite: {state['site']}\nstop: newsvane down")


@app.command()
def down(context: typer.Context) -> None:
    """Stop what `newsvane up` started."""
    settings = settings_of(context)
    from flows.platform.stack import stop

    typer.echo("Stopped." if stop(settings) else "Nothing was up.")


@app.command(hidden=True)
def serve(context: typer.Context) -> None:
    """Serve the deployments to the Prefect server in PREFECT_API_URL."""
    settings = settings_of(context)
    from flows.platform.server import serve_deployments

    serve_deployments(settings)


@app.command()
def doctor(context: typer.Context) -> None:
    """Say what this machine has, what it lacks, and what to do about it."""
    settings = settings_of(context)
    from flows.cli.console import show_diagnoses
    from flows.doctor import examine

    found = examine(settings)
    show_diagnoses(found)
    raise typer.Exit(0 if all(item.healthy for item in found) else 1)
