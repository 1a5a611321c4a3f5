"""A killed run that goes on must end where an undisturbed one ends, to the bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tasks.training.finetune import run_finetune
from tasks.training.job import FinetuneJob
from tasks.training.process import command_of
from tasks.training.recipe import Recipe, load_recipe


@pytest.fixture
def job_at(
    dataset: Path, cache: Path, tiny: Recipe, changed: Callable[..., Recipe]
) -> Callable[[Path], FinetuneJob]:
    recipe = changed(
        tiny,
        lora={"dropout": 0.2},
        schedule={"train_rows": 160, "epochs": 3, "checkpoint_steps": 4, "accumulate": 2},
        compute={"packing": True, "pack_tokens": 48},
    )

    def build(output: Path) -> FinetuneJob:
        return FinetuneJob(recipe=recipe, dataset=dataset, output=output, cache=cache, threads=1)

    return build


def run_until(job: FinetuneJob, step: int) -> None:
    """Start the real worker and kill it, as a crash would, once it reports the step."""
    job.folder.mkdir(parents=True)
    order = job.folder / "job.json"
    order.write_text(job.model_dump_json())
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    with subprocess.Popen(
        command_of(job, order), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            message = json.loads(line)
            if message.get("stage") == "train" and message["done"] >= step:
                worker.send_signal(signal.SIGKILL)
                break
    assert worker.returncode == -signal.SIGKILL


def test_a_run_killed_at_a_random_step_resumes_to_the_same_adapter(
    tmp_path: Path, job_at: Callable[[Path], FinetuneJob]
) -> None:
    torch.set_num_threads(1)
    whole = run_finetune(job_at(tmp_path / "whole"), lambda progress: None)
    step = random.randrange(5, whole.metrics["steps"] - 1)
    job = job_at(tmp_path / "killed")
    run_until(job, step)
    assert not (job.folder / "result.json").exists()
    resumed = run_finetune(job, lambda progress: None)
    assert resumed.metrics["resumed_from"].startswith("checkpoint-"), f"killed at {step}"
    assert resumed.adapter_sha256 == whole.adapter_sha256, f"killed at {step}"
    assert resumed.metrics["loss_curve"] == whole.metrics["loss_curve"]
    assert not (job.folder / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("NEWSVANE_REAL_RESUME"),
    reason="takes minutes; set NEWSVANE_REAL_RESUME=1 to kill a real model's training",
)
@pytest.mark.parametrize("quantisation", ["none", "nf4"])
def test_a_killed_training_of_a_real_model_resumes_to_the_same_adapter(
    quantisation: str,
    tmp_path: Path,
    dataset: Path,
    cache: Path,
    changed: Callable[..., Recipe],
) -> None:
    torch.set_num_threads(1)
    recipe = changed(
        load_recipe("smollm2-135m"),
        lora={"dropout": 0.1},
        schedule={
            "train_rows": 24,
            "validation_rows": 4,
            "batch_rows": 4,
            "checkpoint_steps": 2,
        },
        compute={"quantisation": quantisation},
    )

    def job(output: Path) -> FinetuneJob:
        return FinetuneJob(recipe=recipe, dataset=dataset, output=output, cache=cache, threads=1)

    whole = run_finetune(job(tmp_path / "whole"), lambda progress: None)
    step = random.randrange(3, whole.metrics["steps"])
    run_until(job(tmp_path / "killed"), step)
    resumed = run_finetune(job(tmp_path / "killed"), lambda progress: None)
    assert resumed.metrics["resumed_from"].startswith("checkpoint-"), f"killed at {step}"
    assert resumed.adapter_sha256 == whole.adapter_sha256, f"killed at {step}"


def test_training_stops_early_and_keeps_the_best_adapter(
    tmp_path: Path,
    dataset: Path,
    cache: Path,
    tiny: Recipe,
    changed: Callable[..., Recipe],
) -> None:
    torch.set_num_threads(1)
    recipe = changed(
        tiny,
        schedule={
            "train_rows": 64,
            "epochs": 60,
            "learning_rate": 0.05,
            "evaluate_steps": 4,
            "patience": 2,
        },
    )
    job = FinetuneJob(recipe=recipe, dataset=dataset, output=tmp_path, cache=cache)
    metrics = run_finetune(job, lambda progress: None).metrics
    curve = [value for _, value in metrics["validation_curve"]]
    assert metrics["steps"] < 240
    assert len(curve) == metrics["steps"] // 4
    assert min(curve) not in curve[-2:]
    assert metrics["validation_after"]["label_ce"] == pytest.approx(min(curve), abs=1e-6)
