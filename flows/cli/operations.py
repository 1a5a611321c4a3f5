"""Commands that keep things going: services, doctor, verification, maintenance, backups, SQL."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.context import FAILED, command_line_of, prepared, settings_of

app = typer.Typer()
BackupFolder = Annotated[Path, typer.Argument(help="Folder of the backup.")]
PortOption = Annotated[int, typer.Option(help="Port of the Prefect server and its UI.")]


@app.command()
def init(
    tickers: Annotated[list[str], typer.Argument(help="Your tickers, e.g. AAPL MSFT.")],
    folder: Annotated[Path, typer.Option(help="Where newsvane.toml goes.")] = Path(),
    exchange: Annotated[str, typer.Option(help="Its ISO 10383 code.")] = "XNYS",
    feed: Annotated[
        list[str] | None,
        typer.Option(help="A preset feed; may be given several times.", show_default=False),
    ] = None,
) -> None:
    """Write a commented newsvane.toml for your own tickers; nothing is asked for."""
    from datetime import UTC, datetime

    from flows.cli.init import PRESET_FEEDS, write_configuration

    today = datetime.now(UTC).date()
    path = write_configuration(folder, tickers, exchange, feed or PRESET_FEEDS, today=today)
    typer.echo(
        f"{path} is written: read it, it says what can be set.\nNext: newsvane doctor, then "
        "newsvane run (everything once) or newsvane daily (what is new)."
    )


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
    name: Annotated[
        list[str] | None,
        typer.Option(help="A further name or address by which others call the Prefect server."),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in this terminal; for service managers.")
    ] = False,
) -> None:
    """Start Prefect server, worker, deployments and report site, and keep them up."""
    from flows.platform.credentials import login_words
    from flows.platform.server import check_exposure
    from flows.platform.stack import start

    check_exposure(host, os.environ)  # before credentials of our own are in it
    settings, names, words = prepared(context), name or [], command_line_of(context)
    if foreground:
        from flows.platform.stack_run import run_stack

        run_stack(settings, words, host=host, port=port, site_port=site_port, names=names)
        return
    where = ["--port", str(port), "--site-port", str(site_port), "--host", host]
    where += [f"--name={one}" for one in names]
    state = start(settings, (*words, "up", *where, "--foreground"))
    typer.echo(f"Prefect UI: {state['ui']}")
    typer.echo(login_words(settings.data_root, show=sys.stdout.isatty()))
    typer.echo(f"site: {state['site']}\nstop: newsvane down")


@app.command()
def down(context: typer.Context) -> None:
    """Stop what `newsvane up` started, and what it left if it was killed."""
    settings = settings_of(context)
    from flows.platform.stack import stop

    was_up, left = stop(settings)
    typer.echo("Stopped." if was_up else "Nothing was up.")
    if left:
        typer.echo(f"Ended {left} processes that a killed stack had left.")


@app.command(hidden=True)
def serve(context: typer.Context) -> None:
    """Serve the deployments to the Prefect server in PREFECT_API_URL."""
    settings = settings_of(context)
    from flows.platform.server import serve_deployments

    serve_deployments(settings)


@app.command(hidden=True)
def watch(context: typer.Context) -> None:
    """Make the alarms on the Prefect server in PREFECT_API_URL and watch what it cannot see."""
    settings = prepared(context)
    from flows.platform.watch import watch as watch_server

    watch_server(settings)


@app.command()
def doctor(
    context: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the host of each source whether it answers.")
    ] = False,
) -> None:
    """Say what this machine has, what it lacks, and what to do about it."""
    settings = settings_of(context)
    from flows.cli.doctor import ask_sources, examine, show_diagnoses

    found = [*examine(settings), *(ask_sources(settings) if online else ())]
    show_diagnoses(found)
    raise typer.Exit(0 if all(item.healthy for item in found) else FAILED)


@app.command()
def selftest(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="TF-IDF reads the news instead of the recipe's model.")
    ] = False,
) -> None:
    """Try the pipeline on canaries: no skill where there is none, skill where it was planted."""
    settings = prepared(context)
    from flows.checks import selftest as selftest_flow
    from flows.cli.progress import progress_bars

    with progress_bars():
        report = selftest_flow(settings.selection, quick)
    typer.echo(report.markdown())
    raise typer.Exit(0 if report.passed else FAILED)


@app.command()
def verify(
    context: typer.Context,
    anchor: Annotated[
        str | None, typer.Option(help="A head of the chain that you kept elsewhere.")
    ] = None,
    witness: Annotated[
        bool, typer.Option("--witness", help="Also compare with what every witness holds.")
    ] = False,
) -> None:
    """Recompute every stored hash and name what was altered."""
    settings = settings_of(context)

    from flows.cli.progress import progress_bars
    from flows.connections import witnesses_of
    from flows.platform.display import current_sink
    from tasks.checks.integrity import verify as verify_all
    from tasks.checks.witness.witnesses import compare
    from warehouse.lake import Lake
    from warehouse.storage.landing import Landing

    witnesses = witnesses_of(settings) if witness else {}
    with progress_bars(), Lake.open(settings.warehouse.of_any_kind()) as lake:
        sink = current_sink()
        report = verify_all(
            lake,
            Landing.of(settings.warehouse),
            anchor=anchor,
            progress=lambda done, total: sink.advance("payloads", done, total),
        )
        stated = compare(lake, witnesses)
    typer.echo("\n".join([report.words, *(one.words for one in stated)]))
    sound = report.sound and not report.is_empty and all(one.sound for one in stated)
    raise typer.Exit(0 if sound else FAILED)


@app.command()
def deposit(context: typer.Context) -> None:
    """Deposit the hash chain and its predictions with every witness, as the daily job does."""
    settings = prepared(context)
    from flows.operations import deposit_chain

    for one in deposit_chain(settings.selection):
        typer.echo(one.words)


@app.command()
def maintain(
    context: typer.Context,
    backup: Annotated[Path | None, typer.Option(help="Back up there afterwards.")] = None,
    delete_unknown: Annotated[
        bool,
        typer.Option("--delete-unknown", help="Delete even many files that nothing refers to."),
    ] = False,
) -> None:
    """Merge small files, forget old snapshots, delete what nothing refers to any more."""
    settings = prepared(context)
    from flows.cli.tables import show_rows
    from flows.operations import maintenance

    show_rows(maintenance(settings.selection, backup, delete_unknown).table())


@app.command()
def backup(context: typer.Context, folder: BackupFolder) -> None:
    """Copy the warehouse into a folder, with hashes; a second time only what is new."""
    settings = settings_of(context)
    from warehouse.ops.backup import back_up

    made = back_up(settings.warehouse, folder)
    typer.echo(f"{len(made.files):,} files as of snapshot {made.snapshot_id} are in {folder}.")


@app.command("verify-backup")
def verify_backup(folder: BackupFolder) -> None:
    """Read every file of a backup again and compare its hash."""
    from warehouse.ops.backup import verify_backup as verify

    typer.echo(f"All {len(verify(folder).files):,} files are as they were backed up.")


@app.command()
def restore(context: typer.Context, folder: BackupFolder) -> None:
    """Make a backup the configured warehouse, which must not exist yet."""
    settings = settings_of(context)
    from warehouse.ops.restore import restore as put_back

    made = put_back(folder, settings.warehouse)
    typer.echo(f"Restored {len(made.files):,} files as of snapshot {made.snapshot_id}.")


@app.command()
def sql(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="One reading query, in DuckDB's SQL.")],
    files: Annotated[
        list[Path] | None,
        typer.Option(help="A file or folder that the query may read too, by read_csv and so on."),
    ] = None,
) -> None:
    """Answer one reading query over the warehouse; it reaches nothing else."""
    from flows.cli.tables import show_table
    from warehouse.lake import Lake

    with Lake.open(settings_of(context).warehouse.of_any_kind()) as lake:
        show_table(lake.sql(query, files=files or ()))
