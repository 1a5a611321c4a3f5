"""Flows as we declare them: settings from the selection, runs named by their start."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Flow, flow
from prefect.runtime import flow_run
from prefect.utilities.hashing import file_hash

from flows.platform.parameters import Selection
from flows.settings import ConfigSelection, Settings, load_settings

P = ParamSpec("P")
R = TypeVar("R")


def named_by_start() -> str:
    """A flow run's name: the flow and the moment it was to start, e.g. `daily 2024-05-01 09:15`.

    In UTC, as everything inside; the UI shows local time beside it.
    """
    return f"{flow_run.flow_name} {flow_run.scheduled_start_time:%Y-%m-%d %H:%M}"


def configured_flow(
    name: str, *, run_name: str | Callable[[], str] = named_by_start, hours: float | None = None
) -> Callable[[Callable[Concatenate[Settings, P], R]], Flow[Concatenate[ConfigSelection, P], R]]:
    """A flow over settings that is called with a selection, which the run loads first.

    `run_name` is a fixed text with the flow's parameters in braces, or a function; `hours` is the
    timeout of a run, none by default. Runs raise ConfigurationError for an unusable selection.
    """

    def declared(
        body: Callable[Concatenate[Settings, P], R],
    ) -> Flow[Concatenate[ConfigSelection, P], R]:
        @wraps(body)
        def run(selection: ConfigSelection, *args: P.args, **kwargs: P.kwargs) -> R:
            chosen = load_settings(selection.config, selection.profile, selection.overrides)
            return body(chosen, *args, **kwargs)

        # Prefect reads parameters and version from here; the wrapper's own say nothing.
        own = inspect.signature(body, eval_str=True)
        _, *others = own.parameters.values()
        first = inspect.Parameter(
            "selection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Selection
        )
        described: Any = run
        described.__signature__ = own.replace(parameters=[first, *others])
        return flow(
            name=name,
            version=file_hash(inspect.getfile(body)),
            flow_run_name=run_name,
            timeout_seconds=None if hours is None else hours * 3600,
        )(run)

    return declared
