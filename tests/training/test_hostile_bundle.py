"""A result from elsewhere is data: it unpacks into its own folder, within bounds, or not at all."""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.training.bundle import LISTING, BundleError, export_bundle, import_bundle
from tasks.training.job import FinetuneJob
from tasks.training.recipe import load_recipe

ADAPTER = b"weights"


@pytest.fixture
def job(tmp_path: Path) -> FinetuneJob:
    """A job whose result is awaited; nothing is trained here."""
    data = tmp_path / "data"
    data.mkdir()
    rows = pa.table({"example_id": ["1"], "input": ["IBM"], "output": ["up"]})
    for split in ("train", "validation", "test"):
        pq.write_table(rows, data / f"{split}.parquet")
    return FinetuneJob(
        recipe=load_recipe("sandbox-tiny"), dataset=data, output=tmp_path / "home" / "models",
        cache=tmp_path / "cache", score=("test",),
    )  # fmt: skip


def result_of(job: FinetuneJob, **changed: Any) -> bytes:
    """What run.py says about a job it has done."""
    said = {
        "kind": "finetune", "model_id": job.model_id, "dataset_id": "d", "recipe_name": "r",
        "base_model": "b", "adapter_sha256": hashlib.sha256(ADAPTER).hexdigest(),
        "path": f"/away/models/{job.model_id}", "seed": 0, "recipe": {}, "environment": {},
        "metrics": {}, **changed,
    }  # fmt: skip
    return json.dumps(said).encode()


def score(path: str) -> dict[str, Any]:
    return {
        "kind": "score", "model_id": "b", "split": "test", "path": path, "rows": 1, "truncated": 0,
        "label_ce": None, "pair_ce": None, "seconds": 1.0, "tokens_per_second": 1.0,
    }  # fmt: skip


Members = list[tuple[zipfile.ZipInfo | str, bytes]]


def packed(path: Path, members: Members, listing: bytes | None = None) -> Path:
    """An archive of these members, in this order, listed with their true hashes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        hashes = {}
        for name, body in members:
            archive.writestr(name, body)
            known = name if isinstance(name, str) else name.filename
            hashes[known] = hashlib.sha256(body).hexdigest()
        archive.writestr(LISTING, json.dumps(hashes).encode() if listing is None else listing)
    return path


def honest(job: FinetuneJob, **changed: Any) -> Members:
    return [("adapter_model.safetensors", ADAPTER), ("result.json", result_of(job, **changed))]


def refused(archive: Path, job: FinetuneJob, tmp_path: Path) -> str:
    """What is said; nothing of the archive is left anywhere."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError) as error:
        import_bundle(archive, job)
    assert sorted(tmp_path.rglob("*")) == before
    return str(error.value)


def test_honest_result_comes_home(job: FinetuneJob, tmp_path: Path) -> None:
    result = import_bundle(packed(tmp_path / "r.zip", honest(job)), job)
    assert (result.path / "adapter_model.safetensors").read_bytes() == ADAPTER


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name",
    ["../x.json", "a/../../x.json", "/tmp/x.json", "a\\..\\..\\x.json", "C:/x.json", "a//x.json",
     "./x.json", "x.json/", "RESULT.json", "result.json", "result.json/x.json", "dir/", "x.json ",
     "x.pkl", "con\x07.json"],
)  # fmt: skip
def test_member_that_leads_out_or_hides_another_is_refused(
    job: FinetuneJob, tmp_path: Path, name: str
) -> None:
    archive = packed(tmp_path / "r.zip", [*honest(job), (name, b"{}")])
    assert "expected" in refused(archive, job, tmp_path)
    assert not Path("/tmp/x.json").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_link_or_device_is_refused(job: FinetuneJob, tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("link.json")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    archive = packed(tmp_path / "r.zip", [*honest(job), (info, b"/etc/passwd")])
    assert "link.json" in refused(archive, job, tmp_path)


@pytest.mark.parametrize("name", ["big.json", LISTING])
def test_bomb_is_refused_before_it_is_unpacked(
    job: FinetuneJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("warehouse.storage.unpacking.ALLOWANCE", 1 << 20)
    bomb = b" " * (32 << 20)
    if name == LISTING:
        archive = packed(tmp_path / "r.zip", honest(job), listing=b"{}" + bomb)
    else:
        archive = packed(tmp_path / "r.zip", [*honest(job), (name, bomb)])
    assert "unpacks to" in refused(archive, job, tmp_path)


def test_bomb_that_understates_its_size_is_refused(job: FinetuneJob, tmp_path: Path) -> None:
    archive = packed(tmp_path / "r.zip", [*honest(job), ("big.json", b" " * (8 << 20))])
    body = bytearray(archive.read_bytes())
    claimed = struct.pack("<L", 8 << 20)
    assert body.count(claimed) >= 1
    archive.write_bytes(bytes(body).replace(claimed, struct.pack("<L", 10)))
    assert "not a whole result archive" in refused(archive, job, tmp_path)


def test_too_many_members_are_refused(job: FinetuneJob, tmp_path: Path) -> None:
    many: Members = [(f"{number}.json", b"") for number in range(1500)]
    archive = packed(tmp_path / "r.zip", [*honest(job), *many])
    assert "files; the limit" in refused(archive, job, tmp_path)


@pytest.mark.parametrize("listing", [b"[]", b"null", b"3", b"{", b"\xff", b'{"result.json": 1}'])
def test_listing_that_is_none_is_refused(job: FinetuneJob, tmp_path: Path, listing: bytes) -> None:
    refused(packed(tmp_path / "r.zip", honest(job), listing), job, tmp_path)


def test_encrypted_or_damaged_members_are_refused(job: FinetuneJob, tmp_path: Path) -> None:
    archive = packed(tmp_path / "r.zip", honest(job))
    whole = archive.read_bytes()
    for offset, flag in ((6, 0x1), (8, 99)):  # the flags and the way of packing in local headers
        body = bytearray(whole)
        for at in (found for found in range(len(body)) if body[found : found + 4] == b"PK\x03\x04"):
            body[at + offset] = flag
        for at in (found for found in range(len(body)) if body[found : found + 4] == b"PK\x01\x02"):
            body[at + offset + 2] = flag
        archive.write_bytes(bytes(body))
        assert "not a whole result archive" in refused(archive, job, tmp_path)


@pytest.mark.parametrize(
    "path",
    ["{model}/../../../victim/scores.parquet", "/victim/scores.parquet", "{model}/victim",
     "/away/{model}/../{model}/../victim/x", "{model}/scores/none.parquet"],
)  # fmt: skip
def test_scores_that_are_not_in_the_archive_move_nothing(
    job: FinetuneJob, tmp_path: Path, path: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "scores.parquet").write_bytes(b"mine")
    named = path.replace("{model}", f"/away/models/{job.model_id}")
    archive = packed(tmp_path / "r.zip", honest(job, scores=[score(named)]))
    assert "result names" in refused(archive, job, tmp_path)


@pytest.mark.parametrize(
    "result", [b"{}", b"[", b"\xff\xfe", b'{"kind": "finetune"}', b'{"kind": "other"}']
)
def test_result_that_is_none_is_refused(job: FinetuneJob, tmp_path: Path, result: bytes) -> None:
    members: Members = [("adapter_model.safetensors", ADAPTER), ("result.json", result)]
    refused(packed(tmp_path / "r.zip", members), job, tmp_path)


def test_result_without_its_adapter_is_refused(job: FinetuneJob, tmp_path: Path) -> None:
    archive = packed(tmp_path / "r.zip", [("result.json", result_of(job))])
    assert "adapter" in refused(archive, job, tmp_path)


def test_bundle_holds_all_that_its_own_modules_import(job: FinetuneJob, tmp_path: Path) -> None:
    with zipfile.ZipFile(export_bundle(job, tmp_path / "bundle.zip")) as archive:
        names = set(archive.namelist())
        source = archive.read("package/tasks/training/bundle.py").decode()
    assert "from warehouse.storage import atomic, unpacking" in source
    assert {f"package/warehouse/storage/{name}.py" for name in ("atomic", "unpacking")} <= names
