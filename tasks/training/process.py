"""Run a training job in its own process: its memory is freed, its crash is only an error.

This module loads no deep-learning library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast, overload

from filelock import FileLock

from tasks.training.job import (
    RESULT,
    AnyJob,
    AnyResult,
    FinetuneJob,
    FinetuneResult,
    OnProgress,
    Progress,
    ScoreJob,
    ScoreResult,
    split_files,
)
from tasks.training.recipe import TrainingError

PICKLED = {".bin", ".pt", ".pth", ".pkl"}

# Threads that spin at each barrier slow a run down thirtyfold when other work shares its cores;
# threads that sleep there cost next to nothing on a quiet machine.
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[str]
    log: Path


@dataclass
class _Persistent:
    """A worker for many jobs, started with the first of them, and anew after one that died."""

    log: Path
    started: ExitStack
    worker: _Worker | None = None

    def get(self) -> _Worker:
        if self.worker is None or self.worker.process.poll() is not None:
            command = [sys.executable, "-m", "tasks.training.worker", "-"]
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.worker = self.started.enter_context(
                _started(command, self.log, stdin=subprocess.PIPE)
            )
        return self.worker


_persistent: ContextVar[_Persistent | None] = ContextVar("persistent_worker", default=None)


class TrainingProcessError(TrainingError):
    """The training process ended without a result; the message has the end of its log."""


@overload
def run_job(job: FinetuneJob, on_progress: OnProgress | None = None) -> FinetuneResult: ...
@overload
def run_job(job: ScoreJob, on_progress: OnProgress | None = None) -> ScoreResult: ...
def run_job(job: AnyJob, on_progress: OnProgress | None = None) -> AnyResult:
    """Carry out the job in a new process and return its result.

    A job that was finished before is not repeated: its result is read from its folder. One that
    was killed goes on from its last checkpoint, if its recipe saves any. Raises TrainingError
    with the worker's own message, or TrainingProcessError if it died without one.
    """
    return _carry_out([job], on_progress)[0]


def run_scores(
    jobs: Sequence[ScoreJob], on_progress: OnProgress | None = None
) -> tuple[ScoreResult, ...]:
    """Carry out several ScoreJobs one after another in one new process.

    Most of a short job's time is its process's start. As `run_job` otherwise; results are in the
    order of the jobs.
    """
    return tuple(cast(ScoreResult, result) for result in _carry_out(jobs, on_progress))


def _carry_out(jobs: Sequence[AnyJob], on_progress: OnProgress | None) -> list[AnyResult]:
    """The results of the jobs, in their order; only those not finished before are run."""
    for job in jobs:
        _require_inputs(job)
        job.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        for folder in sorted({job.folder for job in jobs}):
            locks.enter_context(FileLock(folder.with_suffix(".lock")))
        found = {job.folder: result for job in jobs if (result := finished_result(job))}
        left = [job for job in jobs if job.folder not in found]
        if left:
            results = _run(left, on_progress or (lambda progress: None))
            found |= dict(zip((job.folder for job in left), results, strict=True))
    return [found[job.folder] for job in jobs]


def _run(jobs: Sequence[AnyJob], on_progress: OnProgress) -> list[AnyResult]:
    """The results of the jobs, in their order, of one process (or launcher) for all of them."""
    job_files = [job.folder / "job.json" for job in jobs]
    for job, job_file in zip(jobs, job_files, strict=True):
        job_file.write_text(job.model_dump_json(indent=2) + "\n", encoding="utf-8")
    persistent = _persistent.get()
    if persistent is not None and not any(_launched(job) for job in jobs):
        return [_sent(persistent.get(), job_file, on_progress) for job_file in job_files]
    log = jobs[0].folder / "worker.log"
    with _started(command_of(jobs[0], *job_files), log) as worker:
        return _results(worker, len(jobs), on_progress, ends=True)


@contextmanager
def _started(command: Sequence[str], log: Path, **options: Any) -> Iterator[_Worker]:
    """A worker that is gone when the block ends; what its libraries print goes to `log`."""
    with (
        log.open("wb") as errors,
        subprocess.Popen(  # noqa: S603  (our own module, no shell)
            command,
            env={**_WORKER_ENVIRONMENT, **os.environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            **options,
        ) as process,
    ):
        try:
            yield _Worker(process, log)
        finally:
            if process.poll() is None:
                process.terminate()


def command_of(job: AnyJob, *job_files: Path) -> list[str]:
    """The command that carries out the jobs in the files: one process, or a launcher's.

    `job` is the first of them.
    """
    worker = ["-m", "tasks.training.worker", *map(str, job_files)]
    if not _launched(job):
        return [sys.executable, *worker]
    if job.accelerate_config is None:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={job.processes}"]
    else:
        config = ["--config_file", str(job.accelerate_config)]
        launcher = ["accelerate.commands.launch", *config, "--num_processes", str(job.processes)]
    return [sys.executable, "-m", *launcher, *worker]


def _launched(job: AnyJob) -> TypeGuard[FinetuneJob]:
    return isinstance(job, FinetuneJob) and job.processes > 1


@contextmanager
def persistent_worker(log: Path) -> Iterator[None]:
    """Jobs inside share one process: starting it takes longer than a short job.

    It starts with the first job. Its errors go to `log`, its memory is freed at the end. Jobs of
    several processes get their own. Inside another one nothing is new: its process is shared.
    """
    if _persistent.get() is not None:
        yield
        return
    with ExitStack() as started:
        token = _persistent.set(_Persistent(log, started))
        try:
            yield
        finally:
            _persistent.reset(token)


def _sent(worker: _Worker, job_file: Path, on_progress: OnProgress) -> AnyResult:
    assert worker.process.stdin is not None
    with suppress(BrokenPipeError):  # the end of its log says why
        worker.process.stdin.write(f"{job_file}\n")
        worker.process.stdin.flush()
    return _results(worker, 1, on_progress, ends=False)[0]


def finished_result(job: AnyJob) -> AnyResult | None:
    """The result of an equal job that was finished before, if it is still whole."""
    path = job.folder / "result.json"
    if not path.is_file():
        return None
    result = RESULT.validate_json(path.read_bytes())
    return result if result.path.exists() else None


def _require_inputs(job: AnyJob) -> None:
    adapter = None if isinstance(job, FinetuneJob) else job.adapter
    if adapter and not (adapter / "adapter_model.safetensors").is_file():
        pickled = sorted(p.name for p in adapter.glob("*") if p.suffix in PICKLED)
        raise TrainingError(
            f"The folder {adapter} holds no adapter: expected adapter_model.safetensors, got "
            f"{pickled or 'no weights'}. Pickled weights can run code and are never loaded; save "
            "the adapter as safetensors."
        )
    names = ("train", "validation") if isinstance(job, FinetuneJob) else (job.split,)
    absent = [name for name in names if not split_files(job.dataset, name)]
    if absent:
        raise TrainingError(
            f"The data set {job.dataset} has no {absent[0]}.parquet: expected a folder with "
            "train.parquet, validation.parquet and test.parquet. Build the data set first."
        )


def _results(
    worker: _Worker, wanted: int, on_progress: OnProgress, *, ends: bool
) -> list[AnyResult]:
    """Pass progress on until the results are there; `ends`: the worker then ends, without error.

    Raises TrainingError with the worker's own message, else TrainingProcessError.
    """
    results: list[AnyResult] = []
    assert worker.process.stdout is not None
    for line in worker.process.stdout:
        message = json.loads(line)
        match message["event"]:
            case "progress":
                on_progress(Progress.model_validate(message))
            case "result":
                results.append(RESULT.validate_python(message["result"]))
            case "error":
                raise TrainingError(message["message"])
        if len(results) == wanted and not ends:
            return results
    code, log = worker.process.wait(), worker.log
    if len(results) == wanted and code == 0:
        return results
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    hint = (
        "The system probably ran out of memory: lower batch_size or max_tokens, or take a smaller "
        "recipe."
        if code == -signal.SIGKILL
        else "Run the job again; it goes on from its last checkpoint, if it saved one."
    )
    raise TrainingProcessError(
        f"The training process ended with {how} and no result. {hint} The end of {log}: "
        f"{_tail(log)}"
    )


def _tail(log: Path, characters: int = 600) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text[-characters:] or "none"
