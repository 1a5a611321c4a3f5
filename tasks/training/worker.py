"""The training process: `python -m tasks.training.worker job.json …` carries out jobs in turn.

Its standard output is a stream of JSON lines and nothing else: progress, then one result per job,
or one error, which ends it. Whatever libraries print goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TextIO

from tasks.training.job import JOB, AnyJob, AnyResult, FinetuneJob, Progress
from tasks.training.recipe import TrainingError

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}


def main(arguments: list[str]) -> int:
    """Run the jobs in the files named by the arguments; 0 done, 1 refused with a reason.

    With `-` the names come from standard input, one a line, until it ends; a refused job then
    ends only itself.
    """
    stream = _reserve_stdout()
    persists = arguments == ["-"]
    for name in sys.stdin if persists else arguments:
        try:
            job = JOB.validate_json(Path(name.rstrip("\n")).read_bytes())
            result = carry_out(job, stream)
        except TrainingError as error:
            _send(stream, {"event": "error", "message": str(error)})
            if persists:
                continue
            return 1
        if result is not None:
            _send(stream, {"event": "result", "result": result.model_dump(mode="json")})
        if persists:
            _free_memory()
    return 0


def carry_out(job: AnyJob, stream: TextIO) -> AnyResult | None:
    """Do the job, sending progress to `stream`; its result is then in its folder too.

    Of several processes of one job only the first has a result and reports.
    """
    os.environ.update(QUIET)
    import torch
    from accelerate import PartialState

    from tasks.training.finetune import run_finetune
    from tasks.training.scoring import run_score

    if job.threads:
        torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)

    reports = PartialState(cpu=not torch.cuda.is_available()).is_main_process

    def on_progress(progress: Progress) -> None:
        if reports:
            _send(stream, progress.model_dump(mode="json"))

    if isinstance(job, FinetuneJob):
        return run_finetune(job, on_progress)
    return run_score(job, on_progress)


def _free_memory() -> None:
    """Give back what a job held, models in reference cycles included: the next needs the room."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _reserve_stdout() -> TextIO:
    """Keep standard output for the protocol; later writes to it land on standard error."""
    kept = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return kept


def _send(stream: TextIO, message: dict[str, object]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
