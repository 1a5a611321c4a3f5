"""Hazard of an unfair comparison: a model beside another model's base."""

from __future__ import annotations

from pathlib import Path

from tasks.evaluation.spec import FINE_TUNED, ZERO_SHOT
from tasks.prediction.predictors import LanguageModel, language_models
from tasks.training.recipe import load_recipe


def test_a_model_is_compared_with_its_own_base_not_with_the_configured_one() -> None:
    tiny, configured = load_recipe("sandbox-tiny"), load_recipe("smollm2-135m")
    model = LanguageModel(tiny, Path("models/tiny"))
    found = language_models(model, configured, zero_shot=True)
    assert found == {ZERO_SHOT: LanguageModel(tiny), FINE_TUNED: model}
    alone = language_models(None, configured, zero_shot=True)
    assert alone == {ZERO_SHOT: LanguageModel(configured)}
    assert language_models(model, configured, zero_shot=False) == {FINE_TUNED: model}
