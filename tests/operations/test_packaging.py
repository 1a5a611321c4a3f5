"""The wheel holds what the program needs and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("flows", "newsvane", "sandbox", "tasks", "validation", "warehouse")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built offline with the backend that pyproject.toml names."""
    pytest.importorskip("hatchling", reason="the build backend, hatchling, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        words, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower()
    [path] = folder.glob("*.whl")
    return path


def test_wheel_holds_every_package_file_and_nothing_else(wheel: Path) -> None:
    if not (REPOSITORY / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout: which files belong to the project is not known")
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    listed = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    ours = {name for name in listed.stdout.splitlines() if (REPOSITORY / name).exists()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == ours


def test_installed_wheel_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    shutil.copy(REPOSITORY / "newsvane.toml", tmp_path)
    environment = {name: text for name, text in os.environ.items() if "NEWSVANE_" not in name}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    query = "select count(*) as bars from bars"
    script = (
        "import flows.cli.main as program, sys; print(program.__file__);"
        f"sys.argv = ['newsvane', 'sql', {query!r}]; program.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(tmp_path / "site" / "flows"))
    assert "bars" in done.stdout.partition("\n")[2]
