"""Commands about data sets: build, show, compare, rebuild, export; the look-ahead audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.context import FAILED, DatasetOption, prepared, settings_of

app = typer.Typer(help="Build, compare and rebuild training sets.", no_args_is_help=True)
audit_app = typer.Typer(help="Prove that no example knows the future.", no_args_is_help=True)


@app.command()
def build(context: typer.Context) -> None:
    """Build the data set the configuration describes; an equal one is not built twice."""
    settings = prepared(context)
    from flows.cli.console import show_dataset
    from flows.cli.progress import progress_bars
    from flows.dataset import build_dataset

    with progress_bars():
        manifest = build_dataset(settings.selection)
    show_dataset(manifest)


@app.command("list")
def list_datasets(context: typer.Context) -> None:
    """List all data sets, newest first."""
    settings = settings_of(context)
    from flows.cli.tables import show_rows
    from tasks.report.page.collect import dataset_rows
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        show_rows(dataset_rows(lake), "data sets")


@app.command()
def show(
    context: typer.Context,
    dataset_id: Annotated[
        str | None,
        typer.Argument(
            help="Its name, its id or the beginning of that. Default: the newest as configured.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show a data set's identity, counts, balance and what was dropped."""
    settings = settings_of(context)
    from flows.cli.console import show_dataset
    from flows.connections import find_dataset

    show_dataset(find_dataset(settings, dataset_id))


@app.command()
def diff(
    context: typer.Context,
    one: Annotated[str, typer.Argument(help="A data set: its id, a beginning of it, or its name.")],
    other: Annotated[str, typer.Argument(help="The data set it is compared with.")],
) -> None:
    """Say which settings and which examples differ between two data sets, and in what."""
    settings = settings_of(context)
    from flows.cli.tables import show_table
    from flows.connections import find_dataset
    from tasks.dataset.rebuild import diff_datasets
    from warehouse.lake import Lake

    root = settings.data_root / "datasets"
    folders = [root / find_dataset(settings, name).dataset_id for name in (one, other)]
    with Lake.open(settings.warehouse) as lake:
        found = diff_datasets(lake, *folders)
    typer.echo(found.words())
    if found.examples.num_rows:
        show_table(found.examples)


@app.command()
def rebuild(
    context: typer.Context,
    manifest: Annotated[Path, typer.Argument(help="A manifest.json, or its folder.")],
    keep: Annotated[
        Path | None, typer.Option(help="Keep the rebuilt files in a folder below this one.")
    ] = None,
) -> None:
    """Build a data set again from its manifest; fail unless every file is the same to the byte."""
    settings = settings_of(context)
    from tasks.dataset.rebuild import read_manifest, rebuild_dataset

    recorded = read_manifest(manifest)
    again = rebuild_dataset(settings.warehouse, recorded, root=keep)
    if again.identical:
        typer.echo(f"{recorded.dataset_id}: every file is the same to the byte.")
        return
    typer.echo("\n".join((f"{recorded.dataset_id} was rebuilt otherwise:", *again.differences)))
    raise typer.Exit(FAILED)


@app.command("open-final")
def open_final(
    context: typer.Context,
    models: Annotated[list[str], typer.Argument(help="The models it is opened for.")],
    dataset_id: DatasetOption = None,
) -> None:
    """Open the final holdout for these models, once: score them on it and seal the look."""
    settings = prepared(context)
    from flows.cli.console import show_verdict
    from flows.cli.progress import progress_bars
    from flows.evaluation import open_final as open_final_flow

    with progress_bars():
        outcome = open_final_flow(settings.selection, tuple(models), dataset_id)
    show_verdict(outcome, "final holdout")


@app.command()
def export(
    context: typer.Context,
    shape: Annotated[
        str, typer.Argument(help="messages, completion, llama_factory, axolotl, fingpt or pixiu.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write to.")],
    dataset_id: DatasetOption = None,
) -> None:
    """Write a data set in the shape that another training tool reads."""
    settings = settings_of(context)
    from flows.cli.console import chosen_dataset
    from tasks.dataset.export import export_dataset
    from warehouse.lake import Lake

    folder = settings.data_root / "datasets" / chosen_dataset(settings, dataset_id)
    with Lake.open(settings.warehouse) as lake:
        for path in export_dataset(lake, folder, shape, out):
            typer.echo(path)


@audit_app.command()
def lookahead(
    context: typer.Context,
    moments: Annotated[int, typer.Option(min=1, help="How many moments to truncate at.")] = 3,
    seed: Annotated[int, typer.Option(help="Chooses the moments.")] = 0,
) -> None:
    """Rebuild the examples in altered warehouses and compare every row."""
    settings = settings_of(context)
    from flows.cli.progress import progress_bars
    from flows.platform.display import current_sink
    from tasks.checks.lookahead import audit_lookahead
    from warehouse.lake import Lake

    with progress_bars(), Lake.open(settings.warehouse) as lake:
        sink = current_sink()
        report = audit_lookahead(
            lake,
            settings.dataset,
            seed=seed,
            moments=moments,
            on_check=lambda what: sink.advance("audit", 0, None, what),
        )
    typer.echo(report.words())
    raise typer.Exit(0 if report.passed else FAILED)
