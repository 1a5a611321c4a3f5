"""The tiny model end to end: it learns what is planted, and leaves the base as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from contextvars import Context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tasks.training.base import BaseModelError, load_base
from tasks.training.encoding import read_rows
from tasks.training.job import ScoreJob
from tasks.training.process import TrainingProcessError, finished_result, run_job
from tasks.training.recipe import Recipe, TrainingError
from tasks.training.scoring import load_adapter, score_labels
from warehouse.storage.atomic import file_sha256


def accuracy(scores: Path, dataset: Path) -> float:
    p_up = pq.read_table(scores)["p_up"].to_numpy()
    is_up = np.array(pq.read_table(dataset / "test.parquet")["output"].to_pylist()) == "up"
    return float(((p_up > 0.5) == is_up).mean())


def test_planted_tone_is_learned_and_cross_entropy_falls(finetuned, dataset) -> None:
    base, tuned = finetuned.result.scores
    assert accuracy(tuned.path, dataset) > 0.85
    assert accuracy(tuned.path, dataset) > accuracy(base.path, dataset) + 0.2
    metrics = finetuned.result.metrics
    for name in ("label_ce", "completion_ce", "pair_ce"):
        assert metrics["validation_after"][name] < 0.8 * metrics["validation_before"][name]
    curve = [loss for _, loss in metrics["loss_curve"]]
    assert len(curve) == metrics["steps"] == 60
    assert np.mean(curve[-10:]) < 0.5 * curve[0]


def test_scores_follow_the_order_of_the_split(finetuned, dataset) -> None:
    expected = pq.read_table(dataset / "test.parquet")["example_id"]
    for score in finetuned.result.scores:
        assert pq.read_table(score.path)["example_id"].combine_chunks() == (
            expected.combine_chunks()
        )


def test_base_logits_are_unchanged_by_adapter_and_training(finetuned, cache, dataset, tiny) -> None:
    base = load_base(tiny, cache)
    rows = read_rows(dataset, "test")
    untouched = score_labels(base.model, base.tokenizer, rows, tiny)
    model = load_adapter(base.model, finetuned.result.path)
    with model.disable_adapter():
        disabled = score_labels(model, base.tokenizer, rows, tiny)
    np.testing.assert_array_equal(disabled.logp_up, untouched.logp_up)
    np.testing.assert_array_equal(disabled.logp_down, untouched.logp_down)
    tuned = score_labels(model, base.tokenizer, rows, tiny)
    assert np.abs(tuned.logp_up - untouched.logp_up).max() > 0.5


def test_a_reloaded_adapter_gives_the_same_scores(finetuned, cache, dataset, tiny) -> None:
    rows = read_rows(dataset, "test")
    in_training = pq.read_table(finetuned.result.scores[1].path)["p_up"].to_numpy()
    base = load_base(tiny, cache)
    reloaded = load_adapter(base.model, finetuned.result.path)
    np.testing.assert_allclose(
        score_labels(reloaded, base.tokenizer, rows, tiny).p_up, in_training, atol=1e-5
    )


def test_the_manifest_vouches_for_every_file_and_holds_no_pickle(finetuned) -> None:
    folder = finetuned.result.path
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["adapter_sha256"] == manifest["files"]["adapter_model.safetensors"]
    for name, digest in manifest["files"].items():
        assert file_sha256(folder / name) == digest
    assert not [p for p in folder.rglob("*") if p.suffix in {".bin", ".pt", ".pth", ".pkl"}]
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nbase_model: sandbox-tiny\n")
    assert f"{finetuned.result.metrics['validation_ce_after']:.4f}" in card


def test_a_finished_job_is_not_done_again(finetuned, dataset, cache) -> None:
    seen: list[object] = []
    assert run_job(finetuned.job, seen.append) == finetuned.result
    same_as_scored = finetuned.job.score_job("test", finetuned.result.path)
    assert run_job(same_as_scored, seen.append) == finetuned.result.scores[1]
    assert finetuned.job.score_job("test", None).folder == finetuned.result.scores[0].path.parent
    assert seen == []


def test_another_seed_recipe_or_dataset_is_another_model(finetuned, tmp_path) -> None:
    job = finetuned.job
    assert job.model_copy(update={"seed": 1}).model_id != job.model_id
    fewer = job.recipe.schedule.model_copy(update={"train_rows": 10})
    recipe = job.recipe.model_copy(update={"schedule": fewer})
    assert job.model_copy(update={"recipe": recipe}).model_id != job.model_id
    moved = job.model_copy(update={"output": tmp_path})
    assert moved.model_id == job.model_id
    assert finished_result(moved) is None


def test_pickled_weights_are_refused(finetuned, cache, tiny, tmp_path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_bytes(
        (finetuned.result.path / "adapter_config.json").read_bytes()
    )
    torch.save({}, adapter / "adapter_model.bin")
    with pytest.raises(TrainingError, match=r"adapter_model\.bin.*never loaded"):
        load_adapter(load_base(tiny, cache).model, adapter)
    job = ScoreJob(
        recipe=tiny, dataset=finetuned.job.dataset, output=tmp_path, cache=cache, adapter=adapter
    )
    with pytest.raises(TrainingError, match=r"adapter_model\.bin.*never loaded"):
        run_job(job)
    base = load_base(tiny, cache)
    pickled = tmp_path / "base"
    base.tokenizer.save_pretrained(pickled)
    base.model.config.save_pretrained(pickled)
    torch.save(base.model.state_dict(), pickled / "pytorch_model.bin")
    folder = {"kind": "folder", "name": "p", "path": pickled, "shape": tiny.base.shape.model_dump()}
    recipe = Recipe.model_validate({**tiny.model_dump(), "base": folder})
    with pytest.raises(BaseModelError, match="safetensors"):
        load_base(recipe, cache)


def test_unknown_labels_are_refused_by_the_worker_which_lives_on(
    training_worker, job, tiny, changed, tmp_path
) -> None:
    refused = job(changed(tiny, prompt={"up": "rise", "down": "fall"}), tmp_path)
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"expected 'rise' or 'fall', got \['down', 'up'\]"):
            run_job(refused)


def test_a_missing_split_is_an_error_before_a_process_starts(cache, tiny, tmp_path) -> None:
    job = ScoreJob(recipe=tiny, dataset=tmp_path, output=tmp_path, cache=cache)
    with pytest.raises(TrainingError, match=r"no test\.parquet.*Build the data set"):
        run_job(job)


@pytest.mark.parametrize(
    ("last_act", "message"),
    [
        ("raise OSError('libtorch is broken')", r"(?s)exit code 1 .*The end of .*log: .*is broken"),
        ("import os; os.kill(os.getpid(), 9)", r"signal SIGKILL .*ran out of memory"),
    ],
)
def test_a_worker_that_dies_is_an_error_with_the_end_of_its_log(
    dataset, cache, tiny, tmp_path, monkeypatch, last_act: str, message: str
) -> None:
    (tmp_path / "torch.py").write_text(last_act)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    scoring = ScoreJob(recipe=tiny, dataset=dataset, output=tmp_path, cache=cache)
    with pytest.raises(TrainingProcessError, match=message):
        Context().run(run_job, scoring)  # an empty context: not in the tests' shared worker


def test_libraries_that_print_cannot_garble_the_protocol() -> None:
    code = (
        "import os, sys; from tasks.training import worker;"
        "stream = worker._reserve_stdout(); print('noise'); os.system('echo more noise');"
        "worker._send(stream, {'event': 'progress'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == '{"event": "progress"}\n'
    assert "more noise" in done.stderr
