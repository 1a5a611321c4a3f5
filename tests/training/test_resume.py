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


def run_until(job: FinetuneJob, step: int) -> None:
    """Start the real worker and kill it, as a crash would, once it reports the step."""
    job.folder.mkdir(parents=True)
    job_file = job.folder / "job.json"
    job_file.write_text(job.model_dump_json())
    with subprocess.Popen(
        command_of(job, job_file), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            message = json.loads(line)
            if message.get("stage") == "train" and message["done"] >= step:
                worker.send_signal(signal.SIGKILL)
                break
    assert worker.returncode == -signal.SIGKILL


def check_resumed_equals_whole(
    job: Callable[..., FinetuneJob], recipe: Recipe, root: Path, *, first_step: int
) -> None:
    """Train once undisturbed, once killed from `first_step` on: the same adapter, to the bit."""
    torch.set_num_threads(1)
    whole = run_finetune(job(recipe, root / "whole"), lambda progress: None)
    step = random.randrange(first_step, whole.metrics["steps"] - 1)
    killed = job(recipe, root / "killed")
    run_until(killed, step)
    assert not (killed.folder / "result.json").exists()
    resumed = run_finetune(killed, lambda progress: None)
    assert resumed.metrics["resumed_from"].startswith("checkpoint-"), f"killed at {step}"
    assert resumed.adapter_sha256 == whole.adapter_sha256, f"killed at {step}"
    assert resumed.metrics["loss_curve"] == whole.metrics["loss_curve"]
    assert not (killed.folder / "checkpoints").exists()


def test_a_run_killed_at_a_random_step_resumes_to_the_same_adapter(
    tmp_path, job, tiny, changed
) -> None:
    schedule = {"train_rows": 160, "num_train_epochs": 3, "save_steps": 4}
    recipe = changed(
        tiny,
        lora={"lora_dropout": 0.2},
        schedule=schedule | {"gradient_accumulation_steps": 2},
        compute={"packing": True, "pack_tokens": 48},
    )
    check_resumed_equals_whole(job, recipe, tmp_path, first_step=5)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("NEWSVANE_REAL_RESUME"),
    reason="takes minutes; set NEWSVANE_REAL_RESUME=1 to kill a real model's training",
)
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_a_killed_training_of_a_real_model_resumes_to_the_same_adapter(
    quantization: str, tmp_path, job, changed
) -> None:
    recipe = changed(
        load_recipe("smollm2-135m"),
        lora={"lora_dropout": 0.1},
        schedule={"train_rows": 24, "validation_rows": 4, "batch_size": 4, "save_steps": 2},
        compute={"quantization": quantization},
    )
    check_resumed_equals_whole(job, recipe, tmp_path, first_step=3)


def test_training_stops_early_and_keeps_the_best_adapter(tmp_path, job, tiny, changed) -> None:
    torch.set_num_threads(1)
    schedule = {"train_rows": 64, "num_train_epochs": 60, "learning_rate": 0.05}
    patience = {"eval_steps": 4, "early_stopping_patience": 2}
    recipe = changed(tiny, schedule=schedule | patience)
    metrics = run_finetune(job(recipe, tmp_path), lambda progress: None).metrics
    curve = [value for _, value in metrics["validation_curve"]]
    assert metrics["steps"] < 240
    assert len(curve) == metrics["steps"] // 4
    assert min(curve) not in curve[-2:]
    assert metrics["validation_after"]["label_ce"] == pytest.approx(min(curve), abs=1e-6)
