"""`newsvane`: each command is a thin call of a flow or of a query."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flows.settings import Settings

app = typer.Typer(
    name="newsvane",
    help="Prices and headlines in; a fine-tuned up/down model with an honest verdict out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
dataset_app = typer.Typer(help="Build and look at training sets.", no_args_is_help=True)
import_app = typer.Typer(help="Bring in archives you already have.", no_args_is_help=True)
app.add_typer(dataset_app, name="dataset")
app.add_typer(import_app, name="import")

OUR_PACKAGES = frozenset({"flows", "tasks", "warehouse", "validation", "sandbox"})
_chosen: dict[str, Any] = {"config": None, "profile": None, "overrides": ()}

DayOption = Annotated[Any, typer.Argument(metavar="YYYY-MM-DD", parser=date.fromisoformat)]


@app.callback()
def choose(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: ./newsvane.toml.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the configuration: sandbox, live, stocknet, ….")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override one setting, e.g. training.seed=7."
        ),
    ] = None,
) -> None:
    """Options every command shares."""
    _chosen.update(config=config, profile=profile, overrides=tuple(set_ or ()))


def _settings() -> Settings:
    from flows.settings import load_settings

    return load_settings(_chosen["config"], _chosen["profile"], _chosen["overrides"])


def _prepared() -> Settings:
    """Settings for a command that runs flows: Prefect's environment is set before its import."""
    from flows.orchestration import prepare_prefect

    settings = _settings()
    prepare_prefect(settings.data_root)
    return settings


@app.command()
def run() -> None:
    """The whole job: ingest, validate, label, render, fine-tune, evaluate, report."""
    settings = _prepared()
    from flows.console import progress_bars, show_outcome
    from flows.run import run_everything

    with progress_bars():
        outcome = run_everything(settings.selection)
    show_outcome(outcome)
    outcome.ingested.require_complete()


@app.command()
def backfill(start: DayOption, end: DayOption) -> None:
    """Ingest what is missing between two session dates (inclusive)."""
    from tasks.planning import check_range

    check_range(start, end)
    settings = _prepared()
    from flows.backfill import backfill as backfill_flow
    from flows.console import progress_bars, show_ingest

    with progress_bars():
        outcome = backfill_flow(settings.selection, start, end)
    show_ingest(outcome)
    outcome.require_complete()


@dataset_app.command("build")
def dataset_build() -> None:
    """Build the data set the configuration describes; an equal one is not built twice."""
    settings = _prepared()
    from flows.console import progress_bars, show_dataset
    from flows.dataset import build_dataset

    with progress_bars():
        manifest = build_dataset(settings.selection)
    show_dataset(manifest)


@dataset_app.command("show")
def dataset_show(
    dataset_id: Annotated[str | None, typer.Argument(help="Default: the newest.")] = None,
) -> None:
    """Show a data set's identity, counts, balance and what was dropped."""
    from flows.console import show_dataset
    from flows.dataset import find_dataset

    show_dataset(find_dataset(_settings(), dataset_id))


@app.command()
def finetune(
    dataset_id: Annotated[
        str | None, typer.Option("--dataset", help="Default: the newest.")
    ] = None,
) -> None:
    """Fine-tune the configured recipe on a data set, in a process of its own."""
    settings = _prepared()
    from flows.console import progress_bars, show_model
    from flows.finetune import finetune as finetune_flow

    with progress_bars():
        result = finetune_flow(settings.selection, dataset_id)
    show_model(result)


@app.command()
def evaluate(
    dataset_id: Annotated[
        str | None, typer.Option("--dataset", help="Default: the newest.")
    ] = None,
    model_id: Annotated[
        str | None, typer.Option("--model", help="Default: the newest of that data set, if any.")
    ] = None,
    without_model: Annotated[
        bool, typer.Option("--baselines-only", help="Skip every language model.")
    ] = False,
) -> None:
    """Score the test split against every baseline and say what it shows."""
    settings = _prepared()
    from flows.console import progress_bars, show_verdict
    from flows.evaluate import evaluate as evaluate_flow

    with progress_bars():
        outcome = evaluate_flow(
            settings.selection, dataset_id, model_id, with_language_model=not without_model
        )
    show_verdict(outcome)


@app.command()
def report() -> None:
    """Write the self-contained HTML report and print its path."""
    settings = _prepared()
    from flows.report import write_report

    typer.echo(write_report(settings.selection))


@app.command()
def sql(query: str) -> None:
    """Answer one reading query over the warehouse."""
    from flows.console import show_table
    from warehouse.lake import Lake

    with Lake.open(_settings().warehouse) as lake:
        show_table(lake.sql(query))


@app.command()
def ui(port: Annotated[int, typer.Option(help="Loopback port of the Prefect UI.")] = 4200) -> None:
    """Start a Prefect server on loopback and serve the deployments until interrupted."""
    settings = _settings()
    from flows.serve import serve_ui

    serve_ui(settings, port)


@import_app.command("prices")
def import_prices(
    file: Path,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Which column holds which field."),
    ] = None,
) -> None:
    """Import daily bars from a CSV, JSONL or Parquet file."""
    settings = _prepared()
    from flows.archive import import_prices as import_flow
    from flows.console import progress_bars, show_ingest

    with progress_bars():
        outcome = import_flow(settings.selection, file, _pairs(map_))
    show_ingest(outcome)
    outcome.require_complete()


@import_app.command("headlines")
def import_headlines(
    file: Path,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Which column holds which field."),
    ] = None,
) -> None:
    """Import dated headlines from a CSV, JSONL or Parquet file."""
    settings = _prepared()
    from flows.archive import import_headlines as import_flow
    from flows.console import progress_bars, show_ingest

    with progress_bars():
        outcome = import_flow(settings.selection, file, _pairs(map_))
    show_ingest(outcome)
    outcome.require_complete()


def _pairs(texts: list[str] | None) -> dict[str, str]:
    from flows.settings import ConfigurationError

    pairs = {}
    for text in texts or ():
        field, separator, column = text.partition("=")
        if not separator or not field or not column:
            raise ConfigurationError(f"--map got {text!r}; expected FIELD=COLUMN, e.g. title=text.")
        pairs[field] = column
    return pairs


def main() -> None:
    """Run the command line. An error of ours is one paragraph and exit code 2, no traceback."""
    try:
        app()
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in OUR_PACKAGES:
            raise
        typer.secho(f"newsvane: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. What was published stays; run the command again to go on.", err=True
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
