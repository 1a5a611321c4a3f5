"""`newsvane`: each command is a thin call of a flow or of a query."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import context, dataset, ingest, jobs, models, operations
from flows.cli.failures import sentence_of
from flows.platform.interruption import INTERRUPTED, end_on_request, say_interrupted

app = typer.Typer(
    name="newsvane",
    help="Prices and headlines in; a fine-tuned up/down model with an honest verdict out.",
    epilog="Exit codes: 0 done; 1 something is wrong with what was looked at; 2 not done, and why "
    "is said; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (jobs, ingest, models, operations):
    app.registered_commands += part.app.registered_commands
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.registry_app, name="models")
app.add_typer(models.predictions_app, name="predictions")
app.add_typer(models.bundle_app, name="bundle")
app.add_typer(ingest.import_app, name="import")
app.add_typer(ingest.sources_app, name="sources")
app.add_typer(ingest.tickers_app, name="tickers")
app.add_typer(dataset.audit_app, name="audit")

WITH_VALUE = ("--config", "--profile", "--set")
FLAGS = ("--json", "--csv", "--quiet", "-q", "--verbose")
"""The options that every command shares; they may stand anywhere in the line."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"newsvane {version('newsvane')}")
        raise typer.Exit


@app.callback()
def choose(
    chosen: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: the nearest newsvane.toml.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the configuration: sandbox, live, stocknet, ….")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: training.seed=7."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Tables as JSON, an array of objects a line.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Tables as CSV.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the log of the runs.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Options every command shares, before or after its name."""
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one of them.")
    context.choose(chosen, config, profile, tuple(set_ or ()))
    context.choose_display(
        "json" if as_json else "csv" if as_csv else "text", quiet=quiet, verbose=verbose
    )


def main() -> None:
    """Run the command line.

    An error of ours, or of what surrounds us, is one paragraph and exit code 2, no traceback.
    """
    _read_names_as_utf8()
    end_on_request()
    try:
        app(shared_first(sys.argv[1:]))
    except Exception as error:
        words = sentence_of(error)
        if words is None:
            raise
        color = False if os.environ.get("NO_COLOR") else None
        typer.secho(f"newsvane: {words}", fg=typer.colors.RED, err=True, color=color)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes it of a KeyboardInterrupt, and says nothing
            say_interrupted()
        raise


def shared_first(words: Sequence[str]) -> list[str]:
    """The words of a command line with the options that every command shares moved to the front.

    What follows `--` stays.
    """
    shared: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += [word, *left]
        elif word in WITH_VALUE:
            shared += [word, *(value for value in [next(left, None)] if value is not None)]
        elif word in FLAGS or word.startswith(tuple(f"{name}=" for name in WITH_VALUE)):
            shared.append(word)
        else:
            rest.append(word)
    return [*shared, *rest]


def _read_names_as_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale would garble names beyond ASCII."""
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


if __name__ == "__main__":
    main()
