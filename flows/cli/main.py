"""`newsvane`: each command is a thin call of a flow or of a query."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import context, dataset, ingest, jobs, models, operations
from flows.cli.failures import sentence_of

INTERRUPTED = 130
"""Exit code of a command that was asked to end, by Ctrl-C or SIGTERM."""
app = typer.Typer(
    name="newsvane",
    help="Prices and headlines in; a fine-tuned up/down model with an honest verdict out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for part in (jobs, ingest, models, operations):
    app.registered_commands += part.app.registered_commands
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.registry_app, name="models")
app.add_typer(models.bundle_app, name="bundle")
app.add_typer(ingest.import_app, name="import")
app.add_typer(ingest.sources_app, name="sources")
app.add_typer(ingest.tickers_app, name="tickers")
app.add_typer(dataset.audit_app, name="audit")


@app.callback()
def choose(
    chosen: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: ./newsvane.toml.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the configuration: sandbox, live, stocknet, ….")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: training.seed=7."),
    ] = None,
) -> None:
    """Options every command shares."""
    context.choose(chosen, config, profile, tuple(set_ or ()))


def main() -> None:
    """Run the command line.

    An error of ours, or of what surrounds us, is one paragraph and exit code 2, no traceback.
    """
    _read_names_as_utf8()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except Exception as error:
        words = sentence_of(error)
        if words is None:
            raise
        typer.secho(f"newsvane: {words}", fg=typer.colors.RED, err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes it of a KeyboardInterrupt, and says nothing
            typer.echo("Interrupted. What was published stays; run the command again.", err=True)
        raise


def _interrupt(*_: object) -> None:
    """End on SIGTERM as on Ctrl-C: with a sentence, and with what was started ended too."""
    raise KeyboardInterrupt


def _read_names_as_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale would garble names beyond ASCII."""
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


if __name__ == "__main__":
    main()
