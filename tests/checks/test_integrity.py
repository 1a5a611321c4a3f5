"""Hazard of a record nobody checks: a prediction, payload, data set or model altered in silence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.checks.integrity import seal, verify
from tasks.prediction.promotion import promote
from tasks.prediction.registry import ADAPTER_FILE
from tests.builders.rows import append, model, registered
from tests.builders.warehouse import OpenLake
from warehouse.lake import Lake, sql
from warehouse.storage.landing import Landing, Payload
from warehouse.tables.models import store_model

MONDAY = datetime(2024, 1, 8, 12, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
WEDNESDAY = MONDAY + timedelta(days=2)


def _prediction(name: str, at: datetime) -> dict[str, Any]:
    return {
        "prediction_id": name, "kind": "forward", "predictor": "champion", "model_id": "m1",
        "spec_id": "s1", "example_id": f"e-{name}", "ticker": "AAPL", "session": date(2024, 1, 9),
        "decision_ts": at, "p_up": 0.6, "predicted_at": at, "headline_ids": ["h1"],
        "input_sha256": "ab",
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture(scope="module")
def landing(folder: Path) -> Landing:
    return Landing(folder / "landing")


@pytest.fixture(scope="module")
def sealed(folder: Path, landing: Landing, open_lake: OpenLake) -> Iterator[Lake]:
    """Three days of records under three seals: predictions, a payload, a data set, a model.

    Tests put back what they alter, so one warehouse serves them all.
    """
    with open_lake(folder) as lake:
        _add_first_day(lake, landing, folder)
        assert seal(lake, now=MONDAY + timedelta(hours=1)) is not None
        _add_model(lake, folder)
        assert seal(lake, now=TUESDAY) is not None
        append(lake, "predictions", [_prediction("p3", WEDNESDAY - timedelta(hours=1))])
        assert seal(lake, now=WEDNESDAY) is not None
        yield lake


def _add_first_day(lake: Lake, landing: Landing, folder: Path) -> None:
    payload = Payload("feed", "https://feed.example/rss", 200, (), b"<rss/>", MONDAY)
    landing.store(payload)
    dataset = folder / "datasets" / "d1"
    dataset.mkdir(parents=True)
    (dataset / "test.jsonl").write_text("{}\n", encoding="utf-8")
    digest = hashlib.sha256(b"{}\n").hexdigest()
    manifest = {"splits": {"test": {"files": [{"name": "test.jsonl", "sha256": digest}]}}}
    (dataset / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    append(lake, "predictions", [_prediction("p1", MONDAY), _prediction("p2", MONDAY)])
    append(lake, "payloads", [{
        "payload_id": payload.payload_id, "source": "feed", "url": payload.url, "status": 200,
        "headers": "[]", "bytes": 6, "fetched_at": MONDAY,
    }])  # fmt: skip
    named = registered("d1", (MONDAY, MONDAY)) | {
        "path": str(dataset),
        "manifest": json.dumps(manifest),
    }
    append(lake, "datasets", [named])


def _add_model(lake: Lake, tmp_path: Path) -> None:
    adapter = tmp_path / "models" / "m1"
    adapter.mkdir(parents=True)
    (adapter / ADAPTER_FILE).write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    store_model(lake, model("m1", adapter_sha256=sha256, path=adapter, created_at=TUESDAY))
    promote(lake, "m1")


@contextmanager
def _altered(lake: Lake, table: str, key: str, value: str, **changes: object) -> Iterator[None]:
    """One stored row changed behind the chain's back, and put back afterwards."""
    before = lake.sql(f"FROM {table} WHERE {key} = $value LIMIT 1", {"value": value})
    row = {**before.to_pylist()[0], **changes}
    after = pa.Table.from_pylist([row], schema=before.schema)
    lake.transact(lambda tx: tx.upsert(table, after, (key,)))
    try:
        yield
    finally:
        lake.transact(lambda tx: tx.upsert(table, before, (key,)))


def test_untouched_record_is_sound(sealed, landing) -> None:
    report = verify(sealed, landing)
    assert report.sound, report.words
    assert (report.seals, report.records, report.payloads, report.files) == (3, 6, 1, 3)
    assert report.head in report.words


def test_sealing_again_is_idempotent(sealed) -> None:
    snapshot = sealed.snapshot_id()
    assert seal(sealed, now=WEDNESDAY + timedelta(days=1)) is None
    assert sealed.snapshot_id() == snapshot


@pytest.mark.parametrize(
    "changes",
    [
        {"p_up": 0.9},
        {"predicted_at": MONDAY - timedelta(hours=9)},
        {"model_id": None},
        {"headline_ids": ["h1", "h2"]},
    ],
)
def test_tampered_prediction_is_named(sealed, landing, changes: dict[str, Any]) -> None:
    with _altered(sealed, "predictions", "prediction_id", "p2", **changes):
        (found,) = verify(sealed, landing).findings
    assert (found.subject, found.record_id) == ("prediction", "p2")
    assert "altered" in found.problem


@pytest.mark.parametrize(
    ("table", "key", "value", "changes"),
    [
        ("payloads", "source", "feed", {"url": "https://elsewhere.example/rss"}),
        ("predictions", "prediction_id", "p1", {"kind": "backtest"}),
    ],
)
def test_record_taken_away_is_named(
    sealed, landing, table: str, key: str, value: str, changes: dict[str, Any]
) -> None:
    with _altered(sealed, table, key, value, **changes):
        (found,) = verify(sealed, landing).findings
    assert found.problem == "deleted after it was sealed"
    assert found.subject == table.removesuffix("s")


def test_hash_adjusted_to_the_tampering_breaks_its_seal(sealed, landing) -> None:
    """Who changes a prediction and its row hash leaves the seal over both behind."""
    with _altered(sealed, "predictions", "prediction_id", "p2", p_up=0.9):
        sealed.read("seal_records")
        hashes = "SELECT row_hash FROM seal_records WHERE record_id = 'p2'"
        with sql.override("seal_chain", hashes):
            forged = sealed.read("seal_chain")["row_hash"][0].as_py()
        with _altered(sealed, "sealed_rows", "record_id", "p2", row_hash=forged):
            (found,) = verify(sealed, landing).findings
    assert (found.subject, found.record_id) == ("seal", "1")


def test_rewritten_seal_breaks_the_next_link(sealed, landing) -> None:
    with _altered(sealed, "seals", "seal_no", "1", hash="0" * 64):
        found = verify(sealed, landing).findings
    assert {finding.record_id for finding in found} == {"1", "2"}


def test_chain_rewritten_as_a_whole_is_told_by_a_known_head(sealed, landing) -> None:
    head = verify(sealed, landing).head
    assert verify(sealed, landing, anchor=head).sound
    (found,) = verify(sealed, landing, anchor="f" * 64).findings
    assert "rewritten" in found.problem


def test_prediction_slipped_in_with_an_old_date_is_named(lake, tmp_path) -> None:
    for name, sealed_at in (("p1", TUESDAY), ("p9", WEDNESDAY)):
        append(lake, "predictions", [_prediction(name, MONDAY)])
        seal(lake, now=sealed_at)
    (found,) = verify(lake, Landing(tmp_path / "landing")).findings
    assert found.record_id == "p9"
    assert "before a seal that does not hold it" in found.problem


@pytest.mark.parametrize("content", [b"altered", None])
@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("landing/*/*.gz", "payload"),
        ("datasets/d1/test.jsonl", "dataset"),
        ("datasets/d1/manifest.json", "dataset"),
        (f"models/m1/{ADAPTER_FILE}", "model"),
    ],
)
def test_altered_or_lost_file_is_named(
    sealed, landing, folder, pattern: str, subject: str, content: bytes | None
) -> None:
    (path,) = folder.glob(pattern)
    original = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        (found,) = verify(sealed, landing).findings
    finally:
        path.write_bytes(original)
    assert found.subject == subject
