"""How our flows run: their parameters, settings, names, retries and final states."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import wraps
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar, cast

from prefect import Flow, flow
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.utilities.hashing import file_hash
from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from flows.platform.api_server import guard_temporary_server
from flows.platform.display import IngestSummary, plain, together
from flows.platform.processes import signature
from flows.settings import ConfigSelection, Settings, load_settings
from tasks.ingest.symbols import SYMBOL
from warehouse.lake import LakeError
from warehouse.lake.faults import is_of_surroundings
from warehouse.storage.object_store import StoreError

guard_temporary_server()  # before any flow could start it


@dataclass(frozen=True, slots=True)
class Described:
    """What the form of the UI says about a parameter.

    Prefect replaces the description of a `Field` in an annotation by that of the docstring, so
    the words go into the type's own schema.
    """

    words: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), "description": self.words}


Selection = Annotated[
    ConfigSelection, Described("Which configuration to run with; filled in already.")
]
FirstDay = Annotated[date, Described("First day, YYYY-MM-DD; counts itself.")]
LastDay = Annotated[date, Described("Last day, YYYY-MM-DD; counts itself.")]
Ticker = Annotated[str, Field(pattern=f"^{SYMBOL.pattern}$")]
Tickers = Annotated[
    Annotated[tuple[Ticker, ...], Field(min_length=1)] | None,
    Described("Only these symbols, e.g. AAPL. Empty: all that are configured."),
]
Kind = Literal["prices", "headlines"]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), Described("What to request.")]
Force = Annotated[
    bool, Described("Request again what is done already; equal answers change nothing.")
]
DatasetId = Annotated[
    str | None,
    Described("Name or identity of a data set. Empty: the newest of the configured specification."),
]
ModelId = Annotated[
    str | None, Described("Identity of a model. Empty: as configured, else the newest.")
]

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
            _sign_by_hand()
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


def _sign_by_hand() -> None:
    """Say which process a run is in that no deployment started; recovery.py asks whether it lives.

    Nobody else knows: a runner has its own runs' processes, and a command's may be anywhere.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is not None or run.parent_task_run_id is not None:
        return
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, infrastructure_pid=signature())


SKIPPED = "Skipped"
INCOMPLETE = "Incomplete"
"""States of runs that did not fail, shown in the UI; automations can wait for them
(`prefect.flow-run.Incomplete`). Whoever called the flow gets the summary as ever."""


def skipped(summary: IngestSummary, reason: str) -> IngestSummary:
    """What a flow returns that had nothing to do today."""
    return _named(SKIPPED, summary, reason)


def ended(summary: IngestSummary) -> IngestSummary:
    """What a flow returns that did its work; `Incomplete` when something could not be had."""
    if not summary.lacking:
        return summary
    said = together(summary.lacking)
    reasons = "; ".join(f"{plain(keys)}: {plain(words)}" for keys, words in said[:5])
    counts = f"{len(summary.missing)} could not be had, {len(summary.partial)} came in part"
    return _named(INCOMPLETE, summary, f"{counts}: {reasons}")


def _named(name: str, summary: IngestSummary, message: str) -> IngestSummary:
    # Prefect unwraps a returned state, so the caller sees the summary that is in it.
    return cast(IngestSummary, Completed(name=name, message=message, data=summary))


def is_transient(task: Any, task_run: Any, state: Any) -> bool:
    """Whether a failed attempt is worth another one.

    Requests to a vendor are retried inside the task, and what it owes goes to the ledger; here it
    is the disk, the bucket or the catalog. A batch the gate refused would be refused again.
    """
    del task, task_run
    try:
        state.result()
    except (OSError, LakeError, StoreError):
        return True
    except Exception as error:
        return is_of_surroundings(error)
    return False


VENDOR_TASK: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "tags": ["vendor"],
    "retries": 2,
    "retry_delay_seconds": [10, 60],
    "retry_jitter_factor": 0.5,  # so that runs part ways
    "retry_condition_fn": is_transient,
    "timeout_seconds": 3600,  # of one attempt
}
"""Options of the tasks that send requests to a vendor."""
