"""Commands that run the jobs: run, daily, weekly, simulate, report."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.context import DatasetOption, prepared

app = typer.Typer()


@app.command()
def run(context: typer.Context) -> None:
    """The whole job: ingest, validate, label, render, fine-tune, evaluate, report."""
    settings = prepared(context)
    from flows.cli.console import show_outcome
    from flows.cli.progress import progress_bars
    from flows.jobs import run_everything

    with progress_bars():
        outcome = run_everything(settings.selection)
    show_outcome(outcome)
    outcome.ingested.require_complete()


@app.command()
def daily(context: typer.Context) -> None:
    """The daily job: read what is new, score what is mature, predict what comes next."""
    settings = prepared(context)
    from flows.cli.console import run_ingest
    from flows.jobs import daily as daily_flow

    run_ingest(lambda: daily_flow(settings.selection))


@app.command()
def weekly(context: typer.Context) -> None:
    """The weekly job: retrain on all that is known; the rule decides on the champion."""
    settings = prepared(context)
    from flows.cli.console import show_model, show_verdict
    from flows.cli.progress import progress_bars
    from flows.cli.tables import say
    from flows.jobs import weekly as weekly_flow

    with progress_bars():
        outcome = weekly_flow(settings.selection)
    show_model(outcome.model)
    show_verdict(outcome.evaluation)
    say(outcome.decision.words, highlight=False)


@app.command()
def simulate(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, help="How many sessions to simulate.")] = 60,
    seed: Annotated[
        int | None, typer.Option(help="Of newswire and training. Default: as configured.")
    ] = None,
) -> None:
    """Simulate many days of the sandbox: daily jobs, weekly retraining, the forward record."""
    settings = prepared(context)
    from flows.cli.progress import progress_bars
    from flows.cli.tables import say
    from flows.simulate import simulate as simulate_flow

    with progress_bars():
        done = simulate_flow(settings.selection, days, seed)
    for line in (
        f"{done.sessions} sessions, {done.first_session} to {done.last_session}; "
        f"{done.retrainings} trainings; champions: {', '.join(done.champions)}.",
        done.verdict,
        f"site: {done.site}",
    ):
        say(line, highlight=False, soft_wrap=True)


@app.command()
def report(context: typer.Context, dataset_id: DatasetOption = None) -> None:
    """Write the self-contained HTML report and the site; print where they are."""
    settings = prepared(context)
    from flows.report import write_report, write_site

    typer.echo(write_report(settings.selection, dataset_id))
    typer.echo(write_site(settings.selection))
