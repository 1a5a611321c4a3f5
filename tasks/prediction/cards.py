"""Model cards that say what an evaluation found."""

from __future__ import annotations

from tasks.dataset.spec.card import escaped
from tasks.evaluation.evaluate import Evaluation
from tasks.evaluation.spec import FINE_TUNED, TEST
from tasks.training.model_card import Evaluated, Figure, evaluated_card
from warehouse.tables.models import Model

METRICS = ("accuracy", "mcc", "cross_entropy")


def describe(model: Model, outcome: Evaluation, *, synthetic: bool) -> str | None:
    """Write what the test split said of the fine-tuned model on its card; returns the card.

    `synthetic`: its headlines were made up. None where the model's folder has no training result.
    """
    figures, examples = [], 0
    for row in outcome.rows.to_pylist():
        own = row["slice"] == "all" and row["predictor"] == FINE_TUNED and row["baseline"] is None
        if own and row["metric"] in METRICS and row["value"] is not None:
            figures.append(Figure(row["metric"], row["value"], row["ci_low"], row["ci_high"]))
            examples = row["n_examples"]
    verdicts = [one for one in outcome.verdicts if one.predictor == FINE_TUNED]
    evaluated = Evaluated(
        split=TEST,
        n_examples=examples,
        figures=tuple(sorted(figures, key=lambda one: METRICS.index(one.metric))),
        verdict=escaped(" ".join(one.words for one in verdicts)),
        synthetic=synthetic,
    )
    return evaluated_card(model.path, evaluated)
