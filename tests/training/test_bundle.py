from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tasks.training.bundle import LISTING, BundleError, export_bundle, import_bundle, pack_result
from tasks.training.process import finished_result
from warehouse.storage.atomic import file_sha256


@pytest.mark.slow
def test_a_bundle_trains_elsewhere_to_the_very_same_adapter(finetuned, tmp_path) -> None:
    archive = export_bundle(finetuned.job, tmp_path / "bundle.zip")
    away = tmp_path / "away"
    with zipfile.ZipFile(archive) as content:
        content.extractall(away)
    code = "import sys; sys.argv = ['run.py']; import runpy; runpy.run_path('run.py');" + (
        "import tasks.training.job as job; print('FROM', job.__file__)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=away, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"FROM {away}" in done.stdout
    home = finetuned.job.model_copy(update={"output": tmp_path / "home"})
    result = import_bundle(away / "result.zip", home)
    assert result.adapter_sha256 == finetuned.result.adapter_sha256
    assert file_sha256(home.folder / "adapter_model.safetensors") == result.adapter_sha256
    assert [s.label_ce for s in result.scores] == [s.label_ce for s in finetuned.result.scores]
    assert all(score.path.is_file() for score in result.scores)


def test_equal_jobs_make_equal_bundles_with_every_hash_listed(finetuned, tmp_path) -> None:
    first = export_bundle(finetuned.job, tmp_path / "a.zip")
    elsewhere = finetuned.job.model_copy(update={"output": tmp_path, "cache": tmp_path})
    assert first.read_bytes() == export_bundle(elsewhere, tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(first) as archive:
        listing = json.loads(archive.read(LISTING))
        assert set(archive.namelist()) == {LISTING, *listing}
        for name, digest in listing.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        notebook = json.loads(archive.read("colab.ipynb"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            lines = [line for line in source.splitlines() if line[:1] not in "!%"]
            compile("\n".join(lines), "cell", "exec")


def test_an_imported_result_is_the_exported_jobs(finetuned, tmp_path) -> None:
    archive = pack_result(finetuned.result.path, tmp_path / "result.zip")
    home = finetuned.job.model_copy(
        update={"output": tmp_path / "home", "scores": tmp_path / "scores"}
    )
    result = import_bundle(archive, home)
    assert result.path == home.folder
    for adapter in (None, home.folder):
        found = finished_result(home.score_job("test", adapter))
        assert found in result.scores, "nothing needs to be scored again at home"
    assert all(score.path.is_relative_to(tmp_path / "scores") for score in result.scores)
    other = home.model_copy(update={"seed": 9})
    with pytest.raises(BundleError, match="another job"):
        import_bundle(archive, other)


def rewritten(source: Path, target: Path, changes: dict[str, bytes], relist: bool) -> Path:
    """The archive with some members replaced or added; `relist` makes its listing agree."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members.update(changes)
    if relist:
        kept = {n: hashlib.sha256(c).hexdigest() for n, c in members.items() if n != LISTING}
        members[LISTING] = json.dumps(kept).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("name", "relist", "message"),
    [
        ("adapter_model.safetensors", False, "does not have the SHA-256"),
        ("adapter_model.safetensors", True, "adapter is not the one"),
        ("payload.pkl", True, "Pickled weights and scripts"),
        ("../escape.json", True, "inside the folder"),
        ("/tmp/escape.json", True, "inside the folder"),
        ("extra.json", False, "not those it lists"),
    ],
)
def test_a_tampered_result_is_refused_and_nothing_of_it_is_kept(
    finetuned, tmp_path, name: str, relist: bool, message: str
) -> None:
    archive = pack_result(finetuned.result.path, tmp_path / "result.zip")
    bad = rewritten(archive, tmp_path / "bad.zip", {name: b"changed"}, relist)
    home = finetuned.job.model_copy(update={"output": tmp_path / "home"})
    with pytest.raises(BundleError, match=message):
        import_bundle(bad, home)
    assert not home.folder.exists()
    assert not (tmp_path / "escape.json").exists()


def test_a_truncated_archive_is_refused(finetuned, tmp_path) -> None:
    archive = pack_result(finetuned.result.path, tmp_path / "result.zip")
    archive.write_bytes(archive.read_bytes()[:-4000])
    with pytest.raises(BundleError, match="not a whole result archive"):
        import_bundle(archive, finetuned.job.model_copy(update={"output": tmp_path / "home"}))
