"""Who competes with whom."""

from __future__ import annotations

import pyarrow as pa

from flows.predictors import contestants
from flows.settings import Settings
from tasks.evaluation.spec import ZERO_SHOT
from tasks.training.recipe import load_recipe


def test_a_model_competes_with_its_own_base_not_with_the_configured_one() -> None:
    settings = Settings()
    train = pa.table({"label_up": [True, False]})
    tiny = load_recipe("sandbox-tiny")
    model = {"recipe": tiny.model_dump_json(), "path": "models/tiny"}
    assert settings.training.recipe != "sandbox-tiny"
    with_model = contestants(settings, train, model, language_models=True)
    assert with_model.models[ZERO_SHOT] == (tiny, None)
    alone = contestants(settings, train, None, language_models=True)
    assert alone.models[ZERO_SHOT] == (load_recipe(settings.training.recipe), None)
    assert contestants(settings, train, model, language_models=False).models == {}
