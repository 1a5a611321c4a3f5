"""Commands about fine-tuned models: list, show, compare, promote, carry elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.context import settings_of

app = typer.Typer(help="The registry of fine-tuned models.", no_args_is_help=True)
bundle_app = typer.Typer(help="Fine-tune on another machine.", no_args_is_help=True)


@app.command("list")
def list_models(context: typer.Context) -> None:
    """List all models, newest first."""
    settings = settings_of(context)
    from flows.cli.console import show_table
    from warehouse.lake import Lake

    columns = ["model_id", "stage", "recipe_name", "dataset_id", "seed", "created_at"]
    with Lake.open(settings.warehouse) as lake:
        show_table(lake.read("model_rows").select(columns))


@app.command()
def show(context: typer.Context, model_id: str) -> None:
    """Show one model: identity, environment, metrics."""
    settings = settings_of(context)
    from flows.cli.console import show_record
    from tasks.prediction.registry import show_model
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        show_record(show_model(lake, model_id))


@app.command()
def compare(context: typer.Context, challenger: str, champion: str) -> None:
    """Compare two models on examples that neither has seen."""
    settings = settings_of(context)
    from tasks.prediction.registry import compare_models
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        typer.echo(compare_models(lake, challenger, champion, settings.evaluation).words)


@app.command()
def promote(context: typer.Context, model_id: str) -> None:
    """Make a model the champion, if it has earned it."""
    settings = settings_of(context)
    from tasks.prediction.registry import promote as promote_model
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        contest = promote_model(lake, model_id, settings.evaluation)
    typer.echo(
        contest.words if contest else f"{model_id} is the champion; nobody stood against it."
    )


@bundle_app.command("export")
def export_bundle(
    context: typer.Context,
    file: Path,
    dataset_id: Annotated[
        str | None, typer.Option("--dataset", help="Default: the newest.")
    ] = None,
) -> None:
    """Write one archive with data set, recipe and runner, for Colab or a GPU machine."""
    settings = settings_of(context)
    from flows.dataset import find_dataset
    from flows.training import finetune_job
    from tasks.training.bundle import export_bundle as write_bundle

    job = finetune_job(settings, find_dataset(settings, dataset_id).dataset_id)
    typer.echo(write_bundle(job, file))


@bundle_app.command("import")
def import_bundle(
    context: typer.Context,
    file: Path,
    dataset_id: Annotated[
        str | None, typer.Option("--dataset", help="Default: the newest.")
    ] = None,
) -> None:
    """Check the archive that a bundle's runner made and register its model."""
    settings = settings_of(context)
    from flows.cli.console import show_model
    from flows.dataset import find_dataset
    from flows.training import finetune_job, register
    from tasks.training.bundle import import_bundle as read_bundle

    job = finetune_job(settings, find_dataset(settings, dataset_id).dataset_id)
    result = read_bundle(file, job)
    register(settings, result)
    show_model(result)
