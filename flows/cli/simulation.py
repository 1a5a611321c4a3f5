"""Commands about weeks and days under the clock: retrain, simulate."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.context import prepared

app = typer.Typer()


@app.command()
def weekly(context: typer.Context) -> None:
    """The weekly job: retrain on all that is known; the rule decides on the champion."""
    settings = prepared(context)
    from flows.cli.console import console, progress_bars, show_model, show_verdict
    from flows.weekly import weekly as weekly_flow

    with progress_bars():
        outcome = weekly_flow(settings.selection)
    show_model(outcome.model)
    show_verdict(outcome.evaluation)
    console.print(outcome.decision.words, highlight=False)


@app.command()
def simulate(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, help="How many sessions to live through.")] = 60,
    seed: Annotated[
        int | None, typer.Option(help="Of newswire and training. Default: as configured.")
    ] = None,
) -> None:
    """Live through many days of the sandbox: daily jobs, weekly retraining, the forward record."""
    settings = prepared(context)
    from flows.cli.console import console, progress_bars
    from flows.simulate import simulate as simulate_flow

    with progress_bars():
        done = simulate_flow(settings.selection, days, seed)
    console.print(
        f"{done.sessions} sessions, {done.first_session} to {done.last_session}; "
        f"{done.retrainings} trainings; champions: {', '.join(done.champions)}.",
        done.verdict,
        f"site: {done.site}",
        sep="\n",
        highlight=False,
        soft_wrap=True,
    )
