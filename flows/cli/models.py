"""Commands about models: finetune, evaluate, predict, score; their registry and bundles."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.context import DatasetOption, prepared, settings_of

ModelArgument = Annotated[str, typer.Argument(help="A model of the registry.")]

app = typer.Typer()
registry_app = typer.Typer(help="The registry of fine-tuned models.", no_args_is_help=True)
predictions_app = typer.Typer(help="The forward predictions.", no_args_is_help=True)
bundle_app = typer.Typer(help="Fine-tune on another machine.", no_args_is_help=True)


@app.command()
def finetune(
    context: typer.Context,
    dataset_id: DatasetOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Estimate memory and time; load nothing.")
    ] = False,
) -> None:
    """Fine-tune the configured recipe on a data set, in a process of its own."""
    settings = prepared(context)
    from flows.cli.console import chosen_dataset, show_model
    from flows.cli.progress import progress_bars
    from flows.cli.tables import say
    from flows.training import finetune as finetune_flow
    from flows.training import plan_of

    dataset_id = chosen_dataset(settings, dataset_id)
    estimate = plan_of(settings, dataset_id)
    for line in estimate.lines():
        say(line, highlight=False)
    if plan:
        return
    with progress_bars():
        result = finetune_flow(settings.selection, dataset_id)
    show_model(result)


@app.command()
def evaluate(
    context: typer.Context,
    dataset_id: DatasetOption = None,
    model_id: Annotated[
        str | None,
        typer.Option("--model", help="A model; default: as configured, else the newest."),
    ] = None,
    without_model: Annotated[
        bool, typer.Option("--baselines-only", help="Skip every language model.")
    ] = False,
    masked: Annotated[bool, typer.Option(help="Score again with tickers and names masked.")] = True,
    walk_forward: Annotated[
        bool, typer.Option("--walk-forward", help="Refit and evaluate the baselines fold by fold.")
    ] = False,
    refit_model: Annotated[
        bool, typer.Option("--refit-model", help="With --walk-forward: fine-tune in each fold.")
    ] = False,
) -> None:
    """Score the test split, or walk-forward folds, against every baseline; say what it shows."""
    settings = prepared(context)
    from flows.cli.console import chosen_dataset, show_verdict
    from flows.cli.progress import progress_bars

    dataset_id = chosen_dataset(settings, dataset_id)
    if walk_forward:
        from flows.evaluation import walk_forward as walk_forward_flow

        with progress_bars():
            pooled = walk_forward_flow(settings.selection, dataset_id, refit_model)
        show_verdict(pooled, "walk-forward folds, pooled")
        return
    from flows.evaluation import evaluate as evaluate_flow

    with progress_bars():
        outcome = evaluate_flow(
            settings.selection,
            dataset_id,
            model_id,
            with_language_model=not without_model,
            masked=masked,
        )
    show_verdict(outcome)


@app.command()
def recall(
    context: typer.Context,
    dataset_id: DatasetOption = None,
    model_id: Annotated[
        str | None, typer.Option("--model", help="Whose base model. Default: as for evaluate.")
    ] = None,
) -> None:
    """Ask the base model about the test sessions without news: what it remembers, by period."""
    settings = prepared(context)
    from flows.cli.progress import progress_bars
    from flows.cli.tables import show_table
    from flows.evaluation import recall as recall_of

    with progress_bars():
        table = recall_of(settings, dataset_id, model_id)
    show_table(table, "recall of outcomes without news, 95% intervals by sessions")


@app.command()
def replicate(
    context: typer.Context,
    benchmark: Annotated[str, typer.Argument(help="stocknet, bigdata22 or cikm18.")],
    data: Annotated[Path, typer.Option(help="The folder with the benchmark's files.")],
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Seeds of every method.")] = 5,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Networks trained at once.")] = 2,
    recipe: Annotated[
        str, typer.Option(help="The language model's recipe, cut to what two cores can do.")
    ] = "smollm2-135m",
    without_model: Annotated[
        bool, typer.Option("--baselines-only", help="Train no language model.")
    ] = False,
) -> None:
    """Train the literature's methods on a public benchmark; compare with what was published."""
    settings = prepared(context)
    from flows.cli.console import show_replication
    from flows.cli.progress import progress_bars
    from flows.replication import replicate as replicate_flow

    with progress_bars():
        outcome = replicate_flow(
            settings.selection,
            benchmark,
            data,
            seeds,
            workers,
            recipe=None if without_model else recipe,
        )
    show_replication(outcome)


@app.command()
def predict(
    context: typer.Context,
    explain: Annotated[
        bool, typer.Option(help="Then ask again with each headline left out.")
    ] = True,
) -> None:
    """Predict the next session with the champion and its challengers; commit before it opens."""
    settings = prepared(context)
    from flows.cli.progress import progress_bars
    from flows.cli.tables import show_table
    from flows.prediction import predict as predict_flow

    with progress_bars():
        table = predict_flow(settings.selection, explain)
    show_table(table, "predictions of the next session")


@app.command()
def explain(
    context: typer.Context,
    ticker: Annotated[str, typer.Argument(help="The example's ticker.")],
    session: Annotated[
        Any,
        typer.Argument(
            metavar="YYYY-MM-DD",
            parser=date.fromisoformat,
            help="The example's session, a date local to the exchange.",
        ),
    ],
    model_id: Annotated[
        str | None, typer.Option("--model", help="A model; default: the champion, else the newest.")
    ] = None,
) -> None:
    """Show what each headline does to P(up) of a ticker and session, and what resembles it."""
    settings = prepared(context)
    from flows.cli.progress import progress_bars
    from flows.cli.tables import show_table
    from flows.prediction import explain as explain_example

    with progress_bars():
        effects, alike = explain_example(settings, ticker, session, model_id)
    show_table(effects, "P(up) less P(up) with the headline left out")
    show_table(alike, "nearest examples of the training split")


@app.command()
def score(context: typer.Context) -> None:
    """Score the forward predictions whose sessions have closed."""
    settings = prepared(context)
    from flows.cli.tables import say
    from flows.prediction import score as score_flow

    say(score_flow(settings.selection), highlight=False)


@registry_app.command("list")
def list_models(context: typer.Context) -> None:
    """List all models, newest first."""
    settings = settings_of(context)
    from flows.cli.tables import show_table
    from warehouse.lake import Lake

    columns = ["model_id", "stage", "recipe_name", "dataset_id", "seed", "created_at"]
    with Lake.open(settings.warehouse) as lake:
        show_table(lake.read("model_rows").select(columns), "models")


@registry_app.command()
def show(context: typer.Context, model_id: ModelArgument) -> None:
    """Show one model: identity, environment, metrics, and the verdict on its test split."""
    settings = settings_of(context)
    from flows.cli.console import show_record
    from flows.cli.tables import say
    from tasks.prediction.registry import model_verdict, show_model
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        model = show_model(lake, model_id)
        show_record(model)
        if verdict := model_verdict(lake, model, settings.evaluation):
            say(f"verdict: {verdict.words}", markup=False, highlight=False)


@registry_app.command()
def compare(
    context: typer.Context,
    challenger: Annotated[str, typer.Argument(help="A model that may take the other's place.")],
    champion: Annotated[str, typer.Argument(help="The model it is tested against.")],
) -> None:
    """Compare two models on examples that neither has seen."""
    settings = settings_of(context)
    from tasks.prediction.promotion import compare_models
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        typer.echo(compare_models(lake, challenger, champion, settings.evaluation).words)


@registry_app.command()
def promote(context: typer.Context, model_id: ModelArgument) -> None:
    """Make a model the champion, if it has earned it."""
    settings = settings_of(context)
    from tasks.prediction.promotion import promote as promote_model
    from warehouse.lake import Lake

    with Lake.open(settings.warehouse) as lake:
        comparison = promote_model(lake, model_id, settings.evaluation)
    typer.echo(
        comparison.words if comparison else f"{model_id} is the champion; nobody stood against it."
    )


@predictions_app.command("export")
def export_predictions(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="The folder to write to.")],
    organization: Annotated[str, typer.Option(help="Who forecasts, as the files name it.")],
    session: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Default: the latest predicted session."),
    ] = None,
) -> None:
    """Write one session's forward predictions in ForecastBench's question and forecast sets."""
    settings = settings_of(context)
    from tasks.prediction.forecastbench import export_forecasts
    from warehouse.lake import Lake

    day = session.date() if session else None
    with Lake.open(settings.warehouse) as lake:
        for path in export_forecasts(lake, out, organization=organization, session=day):
            typer.echo(path)


@bundle_app.command("export")
def export_bundle(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The archive to write.")],
    dataset_id: DatasetOption = None,
) -> None:
    """Write one archive with data set, recipe and runner, for Colab or a GPU machine."""
    settings = settings_of(context)
    from flows.cli.console import chosen_dataset
    from flows.connections import finetune_job
    from tasks.training.bundle import export_bundle as write_bundle

    job = finetune_job(settings, chosen_dataset(settings, dataset_id))
    typer.echo(write_bundle(job, file))


@bundle_app.command("import")
def import_bundle(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The archive that the bundle's runner made.")],
    dataset_id: DatasetOption = None,
) -> None:
    """Check the archive that a bundle's runner made and register its model."""
    settings = settings_of(context)
    from flows.cli.console import chosen_dataset, show_model
    from flows.connections import finetune_job
    from flows.training import register
    from tasks.training.bundle import import_bundle as read_bundle

    job = finetune_job(settings, chosen_dataset(settings, dataset_id))
    result = read_bundle(file, job)
    register(settings, result)
    show_model(result)
