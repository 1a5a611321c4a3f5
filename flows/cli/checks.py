"""Commands that check the project itself: look-ahead audit, canaries, tampering."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.context import prepared, settings_of

app = typer.Typer()
audit_app = typer.Typer(help="Prove that no example knows the future.", no_args_is_help=True)
FAILED = 1


@audit_app.command()
def lookahead(
    context: typer.Context,
    moments: Annotated[int, typer.Option(min=1, help="How many moments to truncate at.")] = 3,
    seed: Annotated[int, typer.Option(help="Chooses the moments.")] = 0,
) -> None:
    """Rebuild the examples in altered warehouses and compare every row."""
    settings = settings_of(context)
    from flows.cli.console import progress_bars
    from flows.platform.progress import current_sink
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
    from flows.cli.console import progress_bars

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
) -> None:
    """Recompute every stored hash and name what was altered."""
    settings = settings_of(context)

    from flows.cli.console import progress_bars
    from flows.platform.progress import current_sink
    from tasks.checks.integrity import verify as verify_all
    from warehouse.lake import Lake
    from warehouse.storage.landing import Landing

    with progress_bars(), Lake.open(settings.warehouse) as lake:
        sink = current_sink()
        report = verify_all(
            lake,
            Landing.of(settings.warehouse),
            anchor=anchor,
            progress=lambda done, total: sink.advance("payloads", done, total),
        )
    typer.echo(report.words)
    raise typer.Exit(0 if report.sound else FAILED)
