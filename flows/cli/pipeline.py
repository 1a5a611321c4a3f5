"""Commands along the way of a headline: run, backfill, finetune, evaluate, predict, report."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from flows.cli.context import prepared, settings_of

app = typer.Typer()
Day = Annotated[Any, typer.Argument(metavar="YYYY-MM-DD", parser=date.fromisoformat)]
DatasetOption = Annotated[str | None, typer.Option("--dataset", help="Default: the newest.")]


@app.command()
def run(context: typer.Context) -> None:
    """The whole job: ingest, validate, label, render, fine-tune, evaluate, report."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_outcome
    from flows.run import run_everything

    with progress_bars():
        outcome = run_everything(settings.selection)
    show_outcome(outcome)
    outcome.ingested.require_complete()


@app.command()
def daily(context: typer.Context) -> None:
    """The daily job: read what is new, score what is mature, predict what comes next."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_ingest
    from flows.daily import daily as daily_flow

    with progress_bars():
        outcome = daily_flow(settings.selection)
    show_ingest(outcome)
    outcome.require_complete()


@app.command()
def backfill(
    context: typer.Context,
    start: Day,
    end: Day,
    tickers: Annotated[
        list[str] | None, typer.Option(help="Only these tickers; may be given several times.")
    ] = None,
    what: Annotated[
        list[str] | None, typer.Option(help="prices, headlines, examples, predictions.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    force: Annotated[
        bool, typer.Option("--force/--only-missing", help="Ask again for what is done.")
    ] = False,
) -> None:
    """Ingest what is missing between two dates, both inclusive; render what depends on it."""
    from tasks.ingest.planning import check_range

    check_range(start, end)
    settings = prepared(context)
    from flows.backfill import backfill as backfill_flow
    from flows.backfill import plan_backfill, wanted_kinds
    from flows.cli.console import progress_bars, show_ingest, show_plan

    chosen, kinds = tuple(tickers or ()) or None, wanted_kinds(what)
    show_plan(plan_backfill(settings, start, end, chosen, kinds, force=force))
    if dry_run:
        return
    with progress_bars():
        outcome = backfill_flow(settings.selection, start, end, chosen, kinds, force)
    show_ingest(outcome)
    outcome.require_complete()


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
    from flows.cli.console import console, progress_bars, show_model
    from flows.training import finetune as finetune_flow
    from flows.training import plan_of

    estimate = plan_of(settings, dataset_id)
    for line in estimate.lines():
        console.print(line, highlight=False)
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
        str | None, typer.Option("--model", help="Default: as configured, else the newest.")
    ] = None,
    without_model: Annotated[
        bool, typer.Option("--baselines-only", help="Skip every language model.")
    ] = False,
    masked: Annotated[bool, typer.Option(help="Ask again with tickers and names masked.")] = True,
    walk_forward: Annotated[
        bool, typer.Option("--walk-forward", help="Refit and judge the baselines fold by fold.")
    ] = False,
    refit_model: Annotated[
        bool, typer.Option("--refit-model", help="With --walk-forward: fine-tune in each fold.")
    ] = False,
) -> None:
    """Score the test split, or walk-forward folds, against every baseline; say what it shows."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_verdict

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
def predict(context: typer.Context) -> None:
    """Predict the next session with the champion and its challengers; commit before it opens."""
    settings = prepared(context)
    from flows.cli.console import progress_bars, show_table
    from flows.prediction import predict as predict_flow

    with progress_bars():
        table = predict_flow(settings.selection)
    show_table(table, "predictions of the next session")


@app.command()
def score(context: typer.Context) -> None:
    """Judge the forward predictions whose sessions have closed."""
    settings = prepared(context)
    from flows.cli.console import console
    from flows.prediction import score as score_flow

    console.print(score_flow(settings.selection), highlight=False)


@app.command()
def report(context: typer.Context) -> None:
    """Write the self-contained HTML report and the site; print where they are."""
    settings = prepared(context)
    from flows.report import write_report, write_site

    typer.echo(write_report(settings.selection))
    typer.echo(write_site(settings.selection))


@app.command()
def sql(context: typer.Context, query: str) -> None:
    """Answer one reading query over the warehouse."""
    from flows.cli.console import show_table
    from warehouse.lake import Lake

    with Lake.open(settings_of(context).warehouse) as lake:
        show_table(lake.sql(query))
