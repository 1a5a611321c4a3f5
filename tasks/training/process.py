"""Run a training job in its own process: its memory is freed, its crash is only an error.

This module loads no deep-learning library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

from tasks.training.job import (
    RESULT,
    FinetuneJob,
    FinetuneResult,
    Progress,
    ScoreJob,
    ScoreResult,
    split_path,
)
from tasks.training.recipe import TrainingError

OnProgress = Callable[[Progress], None]

# Threads that spin at each barrier slow a run down thirtyfold when other work shares its cores;
# threads that sleep there cost next to nothing on a quiet machine.
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}


class TrainingProcessError(TrainingError):
    """The training process ended without a result; the message has its last words."""


@overload
def run_job(job: FinetuneJob, on_progress: OnProgress | None = None) -> FinetuneResult: ...
@overload
def run_job(job: ScoreJob, on_progress: OnProgress | None = None) -> ScoreResult: ...
def run_job(
    job: FinetuneJob | ScoreJob, on_progress: OnProgress | None = None
) -> FinetuneResult | ScoreResult:
    """Carry out the job in a new process and return its result.

    A job that was finished before is not repeated: its result is read from its folder. One that
    was killed goes on from its last checkpoint, if its recipe saves any. Raises TrainingError
    with the worker's own message, or TrainingProcessError if it died without one.
    """
    _require_inputs(job)
    job.folder.mkdir(parents=True, exist_ok=True)
    finished = finished_result(job)
    if finished is not None:
        return finished
    order = job.folder / "job.json"
    order.write_text(job.model_dump_json(indent=2) + "\n", encoding="utf-8")
    log = job.folder / "worker.log"
    command = [sys.executable, "-m", "tasks.training.worker", str(order)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(  # noqa: S603  (our own module, no shell)
            command,
            env={**_WORKER_ENVIRONMENT, **os.environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        try:
            answer = _follow(process, on_progress or (lambda progress: None))
        finally:
            if process.poll() is None:
                process.terminate()
    return _result_or_error(answer, process.returncode, log)


def finished_result(job: FinetuneJob | ScoreJob) -> FinetuneResult | ScoreResult | None:
    """The result of an equal job that was finished before, if it is still whole."""
    path = job.folder / "result.json"
    if not path.is_file():
        return None
    result = RESULT.validate_json(path.read_bytes())
    return result if result.path.exists() else None


def _require_inputs(job: FinetuneJob | ScoreJob) -> None:
    names = ("train", "validation") if isinstance(job, FinetuneJob) else (job.split,)
    absent = [name for name in names if not split_path(job.dataset, name).is_file()]
    if absent:
        raise TrainingError(
            f"The data set {job.dataset} has no {absent[0]}.parquet: expected a folder with "
            "train.parquet, validation.parquet and test.parquet. Build the data set first."
        )


def _follow(process: subprocess.Popen[str], on_progress: OnProgress) -> dict[str, Any]:
    """Pass progress on until the stream ends; the last message that was not progress, or {}."""
    answer: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message["event"] == "progress":
            on_progress(Progress.model_validate(message))
        else:
            answer = message
    process.wait()
    return answer


def _result_or_error(answer: dict[str, Any], code: int, log: Path) -> FinetuneResult | ScoreResult:
    if answer.get("event") == "result" and code == 0:
        return RESULT.validate_python(answer["result"])
    if answer.get("event") == "error":
        raise TrainingError(answer["message"])
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    hint = (
        "The system probably ran out of memory: lower batch_rows or max_tokens, or take a smaller "
        "recipe."
        if code == -signal.SIGKILL
        else "Run the job again; it goes on from its last checkpoint, if it saved one."
    )
    raise TrainingProcessError(
        f"The training process ended with {how} and no result. {hint} Its last words, from "
        f"{log}: {_tail(log)}"
    )


def _tail(log: Path, characters: int = 600) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text[-characters:] or "none"
