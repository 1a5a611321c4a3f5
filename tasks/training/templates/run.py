"""Carry out the fine-tune in this folder: `pip install -r requirements.txt && python run.py`.

Run again after an interruption, it goes on from the last checkpoint. It leaves result.zip.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "package"))
os.chdir(HERE)
os.environ["PYTHONPATH"] = str(HERE / "package")

from tasks.training.bundle import pack_result  # noqa: E402
from tasks.training.job import JOB, Progress  # noqa: E402
from tasks.training.process import run_job  # noqa: E402


def show(progress: Progress) -> None:
    """One line per step on the terminal."""
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in progress.metrics.items())
    print(f"{progress.stage}: {progress.done}/{progress.total} {numbers}", flush=True)


job = JOB.validate_json(Path("job.json").read_bytes())
result = run_job(job, show)
print(f"Done: bring home {pack_result(result.path, HERE / 'result.zip')}")
