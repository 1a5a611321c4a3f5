from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tasks.training.finetune import run_finetune
from tasks.training.process import command_of, run_job
from tasks.training.recipe import RECIPES


@pytest.mark.slow
def test_two_processes_train_what_one_does_with_twice_the_batch(
    tiny, changed, job, tmp_path
) -> None:
    """Over gloo. Unshuffled equality needs one batch per epoch: every row is in every step."""
    rows = 32
    schedule = {"train_rows": rows, "batch_size": rows, "num_train_epochs": 6}
    schedule |= {"learning_rate": 1e-3, "eval_steps": 3}
    one = changed(tiny, schedule=schedule, compute={"group_by_length": False})
    two = changed(one, schedule={"batch_size": rows // 2})
    torch.set_num_threads(1)
    alone = run_finetune(job(one, tmp_path), lambda progress: None)
    halves = job(two, tmp_path, processes=2, score=("test",))
    steps: list[int] = []
    shared = run_job(halves, lambda p: steps.append(p.done) if p.stage == "train" else None)
    assert shared.metrics["steps"] == alone.metrics["steps"] == 6
    assert steps == [1, 2, 3, 3, 4, 5, 6, 6], "only one process may report"
    losses = [[loss for _, loss in r.metrics["loss_curve"]] for r in (shared, alone)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    curves = [run.metrics["validation_curve"] for run in (shared, alone)]
    assert [step for step, _ in curves[0]] == [3, 6]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-3)
    ours, theirs = (load_file(r.path / "adapter_model.safetensors") for r in (shared, alone))
    for name, weights in theirs.items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-2, atol=1e-3)
    assert [score.split for score in shared.scores] == ["test", "test"]


def test_several_gpus_are_started_by_accelerate_with_the_shipped_sharding(
    tiny, job, tmp_path
) -> None:
    config = RECIPES / "fsdp-qlora.accelerate.yaml"
    sharded = job(tiny, processes=4, accelerate_config=config)
    command = command_of(sharded, tmp_path / "job.json")
    assert command[1:3] == ["-m", "accelerate.commands.launch"]
    assert command[command.index("--num_processes") + 1] == "4"
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(config))
    assert loaded.distributed_type == "FSDP"
    assert yaml.safe_load(config.read_text())["fsdp_config"]["fsdp_use_orig_params"] is False
