"""What commands share: the chosen configuration, its settings, options, exit codes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.cli.tables import Shape
    from flows.settings import Settings

FAILED = 1
"""Exit code of a command that ran and found something wrong."""
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Its name, its id or the beginning of that. Default: the newest as configured.",
        show_default=False,
    ),
]


def choose(
    context: typer.Context, config: Path | None, profile: str | None, overrides: tuple[str, ...]
) -> None:
    """Remember the choice for the command that follows; it is read when the command runs."""
    context.obj = (config, profile, overrides)


def choose_display(shape: Shape, *, quiet: bool, verbose: bool) -> None:
    """How the command that follows shows tables, progress, and the log of its runs."""
    from flows.cli.progress import choose_quiet
    from flows.cli.tables import choose_shape

    choose_shape(shape)
    choose_quiet(quiet)
    if verbose:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"


def settings_of(context: typer.Context) -> Settings:
    """The settings of the chosen configuration. Raises ConfigurationError."""
    from flows.settings import load_settings

    return load_settings(*context.obj)


def prepared(context: typer.Context) -> Settings:
    """Settings for a command that runs flows: Prefect's environment is set before its import."""
    from flows.platform.environment import prepare_prefect

    settings = settings_of(context)
    prepare_prefect(settings.data_root)
    return settings


def command_line_of(context: typer.Context) -> tuple[str, ...]:
    """The words that choose the same configuration in a process of its own."""
    config, profile, overrides = context.obj
    words = [f"--config={config}"] if config else []
    words += [f"--profile={profile}"] if profile else []
    words += [f"--set={override}" for override in overrides]
    return tuple(words)
