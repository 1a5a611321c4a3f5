from __future__ import annotations

from pathlib import Path

import pytest

from tasks.training.recipe import RecipeError, load_recipe, parse_recipe, recipe_names

MINIMAL = (Path(__file__).parents[2] / "tasks/training/recipes/sandbox-tiny.yaml").read_text()


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid_and_named_after_its_file(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_promised_recipes_ship() -> None:
    promised = {"sandbox-tiny", "sandbox-newswire", "smollm2-135m", "llama-2-7b", "llama-3.1-8b"}
    assert promised | {"qwen3-4b", "qwen3-8b"} == set(recipe_names())


def test_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'lama'.*llama-2-7b"):
        load_recipe("lama")


def test_a_recipe_may_be_any_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL.replace("batch_rows: 16", "batch_rows: 3"))
    assert load_recipe(path).schedule.batch_rows == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch_rows", "batchrows"), r"schedule\.batchrows.*Extra inputs"),
        (("learning_rate: 1.0e-2", "learning_rate: fast"), r"schedule\.learning_rate.*'fast'"),
        (("epochs: 3", "epochs: 3, patience: 2"), "patience needs evaluate_steps"),
        (("max_tokens: 128", "up: same, down: same"), "two different words"),
        (("kind: random", "kind: telepathy"), "telepathy"),
        (("name: sandbox-tiny\n", "name: [\n"), "not YAML"),
    ],
)
def test_a_bad_key_or_value_is_named(change: tuple[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(MINIMAL.replace(*change, 1), source="mine.yaml")
