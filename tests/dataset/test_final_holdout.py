"""Hazard of a holdout that leaks: shown, scored or trained on before the one time it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

import newsvane
from tasks.checks.integrity import seal, verify
from tasks.checks.lookahead import audit_lookahead
from tasks.dataset.build import assemble_dataset
from tasks.dataset.export import export_dataset
from tasks.dataset.rebuild import rebuild_dataset
from tasks.dataset.spec.card import card
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import FINAL, SplitSpec, WalkForwardSpec
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.looks import corrected, stored_verdicts
from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.backtest import fold_splits, split_frame
from tasks.prediction.holdout import closed_holdout, unexposed_models
from tasks.prediction.registry import ADAPTER_FILE, RetrainSpec, adapter_hash, latest_split
from tasks.report.page.collect import collect
from tasks.training.job import FinetuneJob
from tests.builders.rows import append, model
from tests.builders.warehouse import Filler, OpenLake
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame
from warehouse.tables.looks import HoldoutError, open_holdout, store_looks
from warehouse.tables.models import store_model

NOW = datetime(2020, 1, 2, tzinfo=UTC)
DAYS = exchange_sessions("XNYS", date(2019, 1, 2), date(2019, 5, 31))["session"].to_pylist()
SPEC = EvaluationSpec(resamples=100, by_ticker=False, period=None, candidate="fine_tuned")
ASIDE = 3 * (len(DAYS) - 80)
BY_DATE = SplitSpec(train_until=DAYS[39], validation_until=DAYS[54], final=DAYS[80])


def _market(lake: Lake) -> None:
    for number, ticker in enumerate(("AAA", "BBB", "CCC")):
        rise = np.random.default_rng(number).random(len(DAYS)) < 0.5
        rows = [(day, 100.0, 101.0 if up else 99.0) for day, up in zip(DAYS, rise, strict=True)]
        Filler(lake).bars(ticker, rows)


def _build(lake: Lake, root: Path, split: SplitSpec, **spec: Any) -> DatasetManifest:
    wanted = DatasetSpec(min_headlines=0, split=split, **spec)
    return assemble_dataset(lake, wanted, root / "datasets", now=NOW)


def _days(root: Path, manifest: DatasetManifest, split: str) -> list[date]:
    rows = load_split(root / "datasets" / manifest.dataset_id / f"{split}.parquet")
    return sorted(set(rows["session"].to_pylist()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("holdout")


@pytest.fixture(scope="module")
def market(root: Path, open_lake: OpenLake) -> Iterator[Lake]:
    """Five months of three tickers whose moves are coins; tests open no holdout of it."""
    with open_lake(root) as lake:
        _market(lake)
        yield lake


def test_unset_holdout_is_no_part_of_a_specification() -> None:
    assert "final" not in SplitSpec().model_dump_json()
    assert "final" in SplitSpec(final=5).model_dump_json()
    assert DatasetSpec().digest != DatasetSpec(split=SplitSpec(final=5)).digest
    assert SplitSpec.model_validate({"final": "60"}).final == 60
    assert SplitSpec.model_validate_json(BY_DATE.model_dump_json()) == BY_DATE


@pytest.mark.parametrize(
    ("split", "first"),
    [(BY_DATE, DAYS[80]), (SplitSpec(final=20), DAYS[-20]), (SplitSpec(final=1), DAYS[-1])],
)
def test_holdout_is_the_last_of_the_splits(
    market: Lake, root: Path, split: SplitSpec, first: date
) -> None:
    manifest = _build(market, root, split)
    assert tuple(manifest.splits) == ("train", "validation", "test", "final")
    assert _days(root, manifest, FINAL) == DAYS[DAYS.index(first) :]
    before = [
        day for name in ("train", "validation", "test") for day in _days(root, manifest, name)
    ]
    assert before == sorted(set(before))
    assert before[-1] < first
    again = rebuild_dataset(market.spec, manifest)
    assert again.identical, again.differences


def test_fractions_are_of_what_is_not_set_aside(market: Lake, root: Path) -> None:
    split = SplitSpec(fractions=(0.5, 0.25, 0.25), end=DAYS[99], final=20)
    manifest = _build(market, root, split)
    assert [entry.sessions for entry in manifest.splits.values()] == [40, 20, 20, 20]


def test_purge_and_embargo_lie_before_the_holdout_too(market: Lake, root: Path) -> None:
    split = BY_DATE.model_copy(update={"embargo": 2})
    manifest = _build(market, root, split, label=LabelSpec(horizon=3))
    assert _days(root, manifest, "test")[-1] == DAYS[75]  # two purged, two embargoed
    audited = audit_lookahead(market, manifest.spec, seed=0, checks=("split",))
    assert audited.passed, audited.words()
    assert "final holdout, other than its opening: 0" in audited.words()


@pytest.mark.parametrize(
    "wrong",
    [
        {"final": 0},
        {"final": DAYS[54], "train_until": DAYS[39], "validation_until": DAYS[54]},
        {"final": DAYS[9], "end": DAYS[8]},
        {"final": DAYS[0], "start": DAYS[0]},
        {"final": "soon"},
        {"final": 2.5},
        {"final": True},
    ],
)
def test_holdout_that_is_not_last_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SplitSpec(**wrong)


def test_closed_holdout_shows_no_outcome_anywhere(market: Lake, root: Path) -> None:
    manifest = _build(market, root, BY_DATE)
    folder = root / "datasets" / manifest.dataset_id
    assert (manifest.splits[FINAL].up, manifest.splits[FINAL].down) == (None, None)
    assert f"| final | {ASIDE} | - | - | - |" in card(manifest)
    exported = export_dataset(market, folder, "messages", root / "exported")
    assert {path.stem for path in exported} == {"train", "validation", "test"}
    shown = collect(market, dataset_id=manifest.dataset_id)
    aside = [row for row in shown.labels.to_pylist() if row["label_reason"] == "set_aside"]
    assert aside == [{"label": None, "label_reason": "set_aside", "examples": ASIDE}]
    labelled = [row for row in shown.examples.to_pylist() if row["label"]]
    assert labelled
    assert all(row["session"] < DAYS[80] for row in labelled)
    earlier = market.sql(
        "SELECT ticker, round(avg(CAST(label = 'up' AS INTEGER)), 6) AS up FROM examples "
        "WHERE spec_id = $spec AND label IS NOT NULL AND session < $first GROUP BY ticker",
        {"spec": manifest.spec_id, "first": DAYS[80]},
    ).to_pylist()
    shares = {row["ticker"]: row["up_share"] for row in shown.tickers.to_pylist()}
    assert shares == {row["ticker"]: row["up"] for row in earlier}
    months = market.read("site_labels").to_pylist()
    assert max(row["month"] for row in months if row["labelled"]) <= DAYS[79]
    wanted = {"spec_id": manifest.spec_id, "first": DAYS[0], "last": DAYS[-1]}
    assert market.read("examples_labelled_in_range", wanted).num_rows == 3 * 80
    with pytest.raises(ValidationError):
        FinetuneJob(recipe={}, dataset=folder, output=root, cache=root, score=("final",))


def test_read_api_hands_no_closed_holdout_out(market: Lake, root: Path) -> None:
    manifest = _build(market, root, BY_DATE)
    with newsvane.connect(root) as reader:
        dataset = reader.dataset(manifest.dataset_id)
        with pytest.raises(newsvane.ReadError, match="set aside: nobody has seen"):
            dataset.split("final")
        assert len(dataset.split("test")) == 75
        rows = reader.examples(spec_id=manifest.spec_id).to_dicts()
    hidden = [row for row in rows if DAYS[80] <= row["session"] <= DAYS[-1]]
    assert {(row["label"], row["label_return"]) for row in hidden} == {(None, None)}
    assert {row["label_reason"] for row in hidden} == {"set_aside"}


def test_folds_and_weekly_cuts_stay_before_the_holdout(market: Lake, root: Path) -> None:
    manifest = _build(market, root, BY_DATE)
    folder = root / "datasets" / manifest.dataset_id
    folds = fold_splits(manifest, folder, WalkForwardSpec(train=30, validation=10, test=20))
    assert {fold.final for fold in folds} == {None}
    assert max(fold.end for fold in folds if fold.end) < DAYS[80]
    weekly = RetrainSpec(validation=10, test=10)
    for final, last in (
        (DAYS[80], DAYS[69]),
        (23, DAYS[len(DAYS) - 34]),
        (date(2021, 1, 4), DAYS[-11]),
    ):
        cut = latest_split(DAYS, weekly, SplitSpec(final=final))
        assert (cut.validation_until, cut.final) == (last, final)
        SplitSpec.model_validate(cut.model_dump())


def _registered(lake: Lake, root: Path, name: str, dataset_id: str) -> None:
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / ADAPTER_FILE).write_bytes(name.encode())
    known = {"dataset_id": dataset_id, "path": folder, "adapter_sha256": adapter_hash(folder)}
    store_model(lake, model(name, **known))


def _judged(frame: pa.Table, share: float, seed: int) -> np.ndarray:
    right = np.random.default_rng(seed).random(frame.num_rows) < share
    return np.where(frame["label_up"].to_numpy() == right, 0.7, 0.3)


def _open(lake: Lake, frame: pa.Table, dataset_id: str, model_id: str = "m1") -> Any:
    """What the flow does with the probabilities once they are there."""
    p_up = {"fine_tuned": _judged(frame, 0.8, 1), "majority": _judged(frame, 0.5, 2)}
    found = evaluate(frame, p_up, SPEC)
    about = {"dataset_id": dataset_id, "model_ids": {"fine_tuned": model_id}}
    open_holdout(lake, frame, found.rows, p_up, ("fine_tuned",), **about, now=NOW)
    (verdict,) = corrected(lake, found.verdicts, SPEC, split=FINAL, **about)
    return verdict


@pytest.fixture
def set_aside(lake: Lake, tmp_path: Path) -> tuple[Lake, DatasetManifest, Path]:
    """A warehouse of its own with a closed holdout and a model that was trained before it."""
    _market(lake)
    manifest = _build(lake, tmp_path, BY_DATE)
    _registered(lake, tmp_path, "m1", manifest.dataset_id)
    return lake, manifest, tmp_path / "datasets" / manifest.dataset_id


def test_holdout_opens_once_and_the_look_is_sealed(set_aside, tmp_path: Path) -> None:
    lake, manifest, folder = set_aside
    frame = closed_holdout(lake, manifest, folder)
    assert [one.model_id for one in unexposed_models(lake, manifest, ["m1"], frame)] == ["m1"]
    verdict = _open(lake, frame, manifest.dataset_id)
    assert "Final holdout: the first and only look at its sessions." in verdict.words
    assert seal(lake, now=NOW) is not None
    snapshot = lake.snapshot_id()
    with pytest.raises(HoldoutError, match=r"was opened on 2020-01-02 00:00 UTC.*for m1"):
        closed_holdout(lake, manifest, folder)
    with pytest.raises(HoldoutError):  # of two commands at once the slower one
        _open(lake, frame, manifest.dataset_id, "m2")
    later = _build(lake, tmp_path, BY_DATE.model_copy(update={"final": DAYS[90]}))
    with pytest.raises(HoldoutError, match="one look"):  # its sessions, whatever their data set
        closed_holdout(lake, later, tmp_path / "datasets" / later.dataset_id)
    assert lake.sql("SELECT count(*) AS n FROM looks")["n"].to_pylist() == [1]
    assert lake.snapshot_id() > snapshot  # the later data set's rows alone
    with newsvane.connect(tmp_path) as reader:
        assert len(reader.dataset(manifest.dataset_id).split("final")) == ASIDE
        (read,) = reader.evaluation(manifest.dataset_id, "final").verdicts
        assert "first and only look" in read.words
        assert reader.examples(spec_id=manifest.spec_id).table["label"].null_count < 5
    shown = collect(lake, dataset_id=manifest.dataset_id)
    assert "first and only look" in shown.final[0].words
    assert shown.reliability.num_rows == 0  # those plots are about the test split


def test_deleted_or_edited_look_is_named(set_aside, tmp_path: Path) -> None:
    lake, manifest, folder = set_aside
    _open(lake, closed_holdout(lake, manifest, folder), manifest.dataset_id)
    seal(lake, now=NOW)
    landing = Landing(tmp_path / "landing")
    stored = lake.sql("FROM looks")
    edited = stored.set_column(
        stored.column_names.index("n_examples"), "n_examples", pa.array([1], pa.int64())
    )
    lake.transact(lambda tx: tx.upsert("looks", edited, ("look_id",)))
    problems = {f.problem for f in verify(lake, landing).findings if f.subject == "look"}
    assert problems == {"altered after it was sealed"}
    other = stored.set_column(stored.column_names.index("look_id"), "look_id", pa.array(["x"]))
    lake.transact(lambda tx: tx.upsert("looks", other, ("n_examples",)))
    renamed = lake.sql("SELECT look_id FROM looks WHERE look_id = 'x'").num_rows
    assert renamed == 1
    assert verify(lake, landing).sound is False


def test_looks_from_elsewhere_are_said_forever(set_aside) -> None:
    lake, manifest, folder = set_aside
    frame = closed_holdout(lake, manifest, folder)
    elsewhere = {"dataset_id": "d9", "split": "test", "model_ids": {}, "now": NOW}
    store_looks(lake, frame, {"other": _judged(frame, 0.5, 3)}, **elsewhere)
    words = _open(lake, frame, manifest.dataset_id).words
    assert "Final holdout, but not the first look at its sessions: 1 came before." in words
    assert "Counting all 2 predictors" in words
    audited = audit_lookahead(lake, manifest.spec, seed=0, checks=("split",))
    assert "final holdout, other than its opening: 1" in audited.words()


def test_looks_after_the_opening_and_forward_records_are_said_too(set_aside) -> None:
    lake, manifest, folder = set_aside
    frame = closed_holdout(lake, manifest, folder)
    _open(lake, frame, manifest.dataset_id)
    elsewhere = {"dataset_id": "d9", "split": "test", "model_ids": {}}
    after = NOW.replace(month=6)
    store_looks(lake, frame, {"other": _judged(frame, 0.5, 3)}, **elsewhere, now=after)
    row = frame.slice(0, 1).to_pylist()[0]
    append(lake, "predictions", [{
        "prediction_id": "p", "kind": "forward", "predictor": "m1", "model_id": "m1", "p_up": 0.6,
        "predicted_at": row["decision_ts"], "headline_ids": [], "input_sha256": "a",
        **{key: row[key] for key in ("spec_id", "example_id", "ticker", "session", "decision_ts")},
    }])  # fmt: skip
    stored = lake.read("report_evaluations", {"dataset_id": manifest.dataset_id})
    about = {"dataset_id": manifest.dataset_id, "split": FINAL}
    (verdict,) = stored_verdicts(lake, stored, SPEC, **about)
    assert "the first look at its sessions; 1 came after it. 1 models have forward" in verdict.words


def test_model_that_may_have_learned_from_the_holdout_is_refused(set_aside, tmp_path: Path) -> None:
    lake, manifest, folder = set_aside
    frame = closed_holdout(lake, manifest, folder)
    wide = _build(lake, tmp_path, SplitSpec(train_until=DAYS[70], validation_until=DAYS[85]))
    _registered(lake, tmp_path, "wide", wide.dataset_id)
    _registered(lake, tmp_path, "stray", "unknown")
    for name, why in (("wide", "learned from outcomes until"), ("stray", "learned from unknown")):
        with pytest.raises(HoldoutError, match=why):
            unexposed_models(lake, manifest, ["m1", name], frame)
    with pytest.raises(HoldoutError, match="each once"):
        unexposed_models(lake, manifest, ["m1", "m1"], frame)
    with pytest.raises(HoldoutError, match="no final holdout"):
        closed_holdout(lake, wide, tmp_path / "datasets" / wide.dataset_id)
    assert split_frame(lake, wide, tmp_path / "datasets" / wide.dataset_id, "test").num_rows
    assert evaluation_frame(lake, manifest.spec_id, frame["example_id"]).num_rows == ASIDE
