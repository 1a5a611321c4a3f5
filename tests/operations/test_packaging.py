"""The wheel holds what the program needs and nothing else; flows import no deeper than five."""

from __future__ import annotations

import ast
import os
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.builders.command_line import REPOSITORY, run_to_its_end

PACKAGES = ("flows", "newsvane", "sandbox", "tasks", "validation", "warehouse")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built offline with the backend that pyproject.toml names."""
    pytest.importorskip("hatchling", reason="the build backend, hatchling, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = run_to_its_end(words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower()
    [path] = folder.glob("*.whl")
    return path


def test_wheel_holds_every_package_file_and_nothing_else(wheel: Path) -> None:
    if not (REPOSITORY / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout: which files belong to the project is not known")
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    listed = run_to_its_end(words)
    assert listed.returncode == 0, listed.stderr
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
    done = run_to_its_end([sys.executable, "-c", script], tmp_path, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(tmp_path / "site" / "flows"))
    assert "bars" in done.stdout.partition("\n")[2]


FLOWS = REPOSITORY / "flows"
MODULES = {
    ".".join(("flows", *path.relative_to(FLOWS).with_suffix("").parts)): path
    for path in FLOWS.rglob("*.py")
    if path.name != "__init__.py"
}


def imported_at_once(body: Iterable[ast.stmt]) -> Iterator[str]:
    """What a module imports when it is loaded; not in functions, nor for a type checker alone."""
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.With | ast.Try):
            yield from imported_at_once(node.body)


@cache
def chain(module: str) -> tuple[str, ...]:
    """The longest way down from a module through imports inside `flows`, itself first."""
    names = imported_at_once(ast.parse(MODULES[module].read_text(encoding="utf-8")).body)
    below = (chain(name) for name in names if name in MODULES)
    return (module, *max(below, key=len, default=()))


def test_flows_have_at_most_five_levels_of_imports() -> None:
    deepest = max((chain(module) for module in MODULES), key=len)
    assert len(deepest) <= 5, " > ".join(deepest)


def test_no_pin_needs_a_later_python_than_the_project_promises() -> None:
    """Debian 12 has Python 3.11.2: one pin that wants 3.11.5 and nothing can be installed."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = SpecifierSet(project["requires-python"])
    [floor] = [Version(one.version) for one in promised if one.operator == ">="]
    installed: dict[str, Distribution] = {}
    for one in distributions():  # in the order of the path: the first of a name is what is imported
        installed.setdefault(canonicalize_name(one.metadata["Name"]), one)
    assert len(installed) > 100
    beyond = {
        f"{name} {one.version}": wanted
        for name, one in installed.items()
        if (wanted := one.metadata.get("Requires-Python")) and floor not in SpecifierSet(wanted)
    }
    assert not beyond, f"constraints.txt must pin releases that install on Python {floor}: {beyond}"
