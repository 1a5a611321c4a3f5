"""A warehouse with a small market: prices, hostile headlines, a data set, an evaluated model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.dataset.build import assemble_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.evaluation.abstention import Abstention, abstaining
from tasks.evaluation.calibration import fit_calibration
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.ranking import ranked
from tasks.evaluation.robustness import MASKED, calibrated, illustrated, variant
from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.backtest import Fold, pooled, with_base_cutoff
from tasks.prediction.recall import Recall
from tests.builders.rows import MARKUP, append, append_bars, append_headlines, bars, model
from validation.gate import check
from warehouse.lake import Lake, LakeSpec
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame, store_evaluation
from warehouse.tables.models import store_model
from warehouse.tables.predictions import store_backtest

NOW = datetime(2024, 1, 5, 22, tzinfo=UTC)
TICKERS = ("AAPL", "IBM", "MSFT")
ATTACK = f"</pre>{MARKUP}"
TITLES = ("Quarterly results beat estimates", "Regulator opens an inquiry", ATTACK, "Plain day")


@dataclass(frozen=True)
class House:
    """An open warehouse and what was built in it."""

    lake: Lake
    manifest: DatasetManifest
    root: Path


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One warehouse for all report tests; they only read it."""
    root = tmp_path_factory.mktemp("house")
    with Lake.open(LakeSpec().placed_below(root)) as lake:
        ingest(lake)
        manifest = assemble_dataset(lake, DatasetSpec(), root / "datasets", now=NOW)
        evaluate_a_model(lake, manifest, root / "datasets")
        yield House(lake, manifest, root)


def ingest(lake: Lake) -> None:
    """Two years of random walks, one headline a day for each ticker, some rejects and checks."""
    calendar = exchange_sessions("XNYS", date(2022, 1, 3), date(2023, 12, 29))
    days, opens = calendar["session"].to_pylist(), calendar["open_ts"].to_pylist()
    size = len(days) * len(TICKERS)
    rng = np.random.default_rng(7)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, size)))
    entry = close * np.exp(rng.normal(0, 0.01, size))
    names, sessions = np.repeat(TICKERS, len(days)), days * len(TICKERS)
    quotes = bars(names, sessions, entry, close, rng.integers(1, 10**6, size))
    checked = check("bars", quotes, batch="tape 2022-2023", checked_at=NOW).require()
    append_bars(lake, quotes, NOW)
    append_headlines(
        lake,
        [f"h{number:05d}" for number in range(size)],
        names,
        [moment - timedelta(hours=5) for moment in opens] * len(TICKERS),
        [TITLES[number % len(TITLES)] for number in range(size)],
        availability=["observed" if number % 5 else "asserted" for number in range(size)],
    )
    append(lake, "quarantine", {
        "quarantine_id": ["q1", "q2", "q3"], "kind": ["bar", "headline", "headline"],
        "source": ["tape", "wire", "wire"], "key": ["AAPL 2022-01-01", "g1", "g2"],
        "reason": ["low is above high", "undated", "undated"],
        "record": ['{"low": 9}', json.dumps({"title": ATTACK}), "{}"],
        "payload_id": ["a" * 64, "b" * 64, None], "quarantined_at": NOW,
    })  # fmt: skip
    lake.transact(lambda tx: tx.append("checks", checked.results))


def evaluate_a_model(lake: Lake, manifest: DatasetManifest, root: Path) -> None:
    """Predictions that know a little, evaluated and stored as an evaluation flow would."""
    split = load_split(root / manifest.dataset_id / "test.parquet")
    frame = evaluation_frame(lake, manifest.spec_id, split["example_id"])
    rng = np.random.default_rng(1)
    sign = np.where(frame["label_up"].to_numpy(), 1.0, -1.0)
    rows = frame.num_rows
    predictions = {
        "fine_tuned": 1 / (1 + np.exp(-(0.6 * sign + rng.normal(0, 1, rows)))),
        "zero_shot": 0.5 + rng.normal(0, 0.04, rows).clip(-0.4, 0.4),
        "majority": np.full(rows, 0.52),
        "previous_direction": np.where(rng.random(rows) > 0.5, 0.53, 0.47),
        "tfidf_logistic": 1 / (1 + np.exp(-(0.1 * sign + rng.normal(0, 0.5, rows)))),
    }
    spec = EvaluationSpec(resamples=200, candidate="fine_tuned", synthetic=True)
    frame = with_base_cutoff(frame, date(2023, 11, 15))
    found = evaluate(frame, predictions, spec)
    own, label = predictions["fine_tuned"], frame["label_up"].to_numpy()
    recall = Recall(np.arange(rows), frame, predictions["zero_shot"])
    checks = (
        calibrated(frame, "fine_tuned", own, fit_calibration(label, own), spec),
        variant(frame, "fine_tuned", own, np.full(rows, 0.5), MASKED, spec),
        illustrated(frame, "fine_tuned", own, spec),
        ranked(frame, "fine_tuned", own, spec),
        abstaining(frame, "fine_tuned", own, Abstention(0.2, 0.4, 0.9), spec),
        recall.metric_rows(recall.memories(predictions, ("fine_tuned",), spec), spec),
    )
    curve = [[s, 0.72 * 0.995**s + 0.02 * float(rng.random())] for s in range(1, 61)]
    metrics = {
        "loss_curve": curve, "validation_ce_before": 0.7312, "validation_ce_after": 0.6544,
        "validation_before": {"label_ce": 0.7312, "completion_ce": 1.81, "pair_ce": 0.7},
        "validation_after": {"label_ce": 0.6544, "completion_ce": 0.66, "pair_ce": 0.65},
        "validation_curve": [[20, 0.69], [40, 0.67], [60, 0.6544]],
        "train_rows": 1050, "steps": 60, "tokens_per_second": 1234.5,
    }  # fmt: skip
    models = {"fine_tuned": "m-0123456789abcdef"}
    recipe = {"rank": 8, "learning_rate": 0.001}
    named = {"recipe": recipe, "base_model": "random tiny Llama", "recipe_name": "sandbox-tiny"}
    store_model(
        lake, model(models["fine_tuned"], dataset_id=manifest.dataset_id, metrics=metrics, **named)
    )
    shared = {"dataset_id": manifest.dataset_id, "model_ids": models, "now": NOW}
    store_evaluation(lake, pa.concat_tables([found.rows, *checks]), split="test", **shared)
    early = np.array([day < date(2023, 11, 15) for day in frame["session"].to_pylist()])
    folds = []
    for name, chosen in (("autumn", early), ("winter", ~early)):
        p_up = {predictor: values[chosen] for predictor, values in predictions.items()}
        folds.append(Fold(name, date(2022, 1, 1), frame.filter(pa.array(chosen)), p_up))
    walked = evaluate(*pooled(folds), spec)
    store_evaluation(lake, walked.rows, split="walk_forward", **{**shared, "model_ids": {}})
    store_backtest(lake, frame, predictions, **shared)
