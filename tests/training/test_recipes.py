from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.training.job import JOB
from tasks.training.recipe import (
    FORMER_KEYS,
    Recipe,
    RecipeError,
    load_recipe,
    parse_recipe,
    recipe_names,
)

MINIMAL = (Path(__file__).parents[2] / "tasks/training/recipes/sandbox-tiny.yaml").read_text()


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid_and_named_after_its_file(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_documented_recipes_ship() -> None:
    own = {"sandbox-tiny", "sandbox-newswire", "smollm2-135m"}
    assert own | {"llama-2-7b", "llama-3.1-8b", "qwen3-4b", "qwen3-8b"} == set(recipe_names())


def test_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'lama'.*llama-2-7b"):
        load_recipe("lama")


def test_a_recipe_may_be_any_file(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL.replace("batch_size: 16", "batch_size: 3"))
    assert load_recipe(path).schedule.batch_size == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch_size", "batchsize"), r"schedule\.batchsize.*Extra inputs"),
        (("batch_size: 16", "batch_size: 16, batch_rows: 8"), r"schedule\.batch_rows.*got 8"),
        (("learning_rate: 1.0e-2", "learning_rate: fast"), r"schedule\.learning_rate.*'fast'"),
        (("epochs: 3", "epochs: 3, early_stopping_patience: 2"), "patience needs eval_steps"),
        (("max_tokens: 128", "up: same, down: same"), "two different words"),
        (("kind: random", "kind: telepathy"), "telepathy"),
        (("name: sandbox-tiny\n", "name: [\n"), "not YAML"),
    ],
)
def test_a_bad_key_or_value_is_named(change: tuple[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(MINIMAL.replace(*change, 1), source="mine.yaml")


FORMER_RECIPE = yaml.safe_load("""
name: former
base:
  {kind: hub, name: someone/model, licence: MIT, knows_until: "2023-07-31",
   shape: {vocabulary: 32000, hidden: 4096, intermediate: 11008, layers: 32, heads: 32,
           key_value_heads: 8, head_size: 128, tied_embeddings: true}}
lora: {rank: 16, alpha: 32, dropout: 0.05, targets: [q_proj]}
schedule:
  {epochs: 2, batch_rows: 4, accumulate: 3, warmup_fraction: 0.03, max_gradient_norm: 0.5,
   log_steps: 5, evaluate_steps: 50, patience: 4, checkpoint_steps: 25}
compute: {quantisation: nf4}
""")
"""A recipe as the release before spelled it, with every key that was renamed since."""


def spelled(content: Any, names: dict[str, str]) -> Any:
    if not isinstance(content, dict):
        return content
    return {names.get(key, key): spelled(value, names) for key, value in content.items()}


def keys(content: Any) -> list[str]:
    nested = content.items() if isinstance(content, dict) else ()
    return [name for key, value in nested for name in (key, *keys(value))]


@pytest.mark.parametrize("key", FORMER_KEYS)
def test_every_former_key_is_read_with_a_warning_that_names_the_new_one(key: str) -> None:
    assert key in keys(FORMER_RECIPE)
    others = {name: now for name, now in FORMER_KEYS.items() if name != key}
    with pytest.warns(FutureWarning, match=f"mine.yaml .*Rename them: {key} is now") as warned:
        recipe = parse_recipe(yaml.safe_dump(spelled(FORMER_RECIPE, others)), "mine.yaml")
    assert str(warned[0].message).endswith(f" {key} is now {FORMER_KEYS[key]}.")
    with warnings.catch_warnings(action="error"):
        assert recipe == parse_recipe(yaml.safe_dump(spelled(FORMER_RECIPE, FORMER_KEYS)), "n")


def test_a_file_with_former_keys_warns_once(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(FORMER_RECIPE))
    with warnings.catch_warnings(record=True, action="default") as warned:
        assert load_recipe(path) == load_recipe(path)
    assert len(warned) == 1
    assert all(f"{old} is now {new}" in str(warned[0].message) for old, new in FORMER_KEYS.items())


def test_recipes_stored_with_former_keys_load_without_a_warning(tmp_path) -> None:
    """A warehouse keeps the recipes of its models as JSON; nobody can rename their keys."""
    with warnings.catch_warnings(action="error"):
        recipe = Recipe.model_validate(FORMER_RECIPE)
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
        places = dict.fromkeys(("dataset", "output", "cache"), "x")
        assert JOB.validate_python({"kind": "score", "recipe": FORMER_RECIPE, **places})
    assert set(keys(FORMER_RECIPE)) <= set(keys(recipe.canonical()))


MODEL_IDS = {
    "llama-2-7b": "c87cb74636b657c1",  # another since its cutoff is the base model's own
    "llama-3.1-8b": "e53134935f0d512f",
    "qwen3-4b": "f1103f4033ea1918",
    "qwen3-8b": "a30552c812a09bbd",
    "sandbox-newswire": "928bcd5cd8715a17",
    "sandbox-tiny": "ba27862d2d574a1d",
    "smollm2-135m": "dec75fe61bbcf378",
}


@pytest.mark.parametrize(("name", "model_id"), MODEL_IDS.items())
def test_models_keep_the_ids_they_had_under_the_former_keys(
    name: str, model_id: str, tmp_path, job
) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.parquet").write_text(split)
    assert job(load_recipe(name), dataset=tmp_path, seed=7).model_id == model_id
