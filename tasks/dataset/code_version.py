"""The version of the code that builds a data set, so that a rebuild can say why bytes differ."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("flows", "newsvane", "tasks", "validation", "warehouse")
_DECIDING = frozenset({".py", ".sql", ".csv", ".toml"})
"""Kinds of files that can change a data set."""


@functools.cache
def code_version(root: Path = ROOT) -> str:
    """The release and the commit of the checkout in `root`, e.g. 0.1.0+g1a2b3c4d5e6f.

    `.dirty` follows where tracked files of the packages differ from the commit. Without a checkout,
    as in a wheel or an image, the commit's place is taken by `code.` and the first twelve digits of
    the sha256 of the packages' files.
    """
    release = version("newsvane")
    git = shutil.which("git")
    # A folder above may be somebody else's repository.
    if git is not None and (root / ".git").exists():
        commit = _said(git, root, "rev-parse", "HEAD")
        changed = _said(git, root, "status", "--porcelain", "--untracked-files=no", *PACKAGES)
        if commit:
            return f"{release}+g{commit[:12]}{'.dirty' if changed else ''}"
    return f"{release}+code.{_digest(root)}"


def _said(git: str, root: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - git itself, on our own folder
        [git, "-C", str(root), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _digest(root: Path) -> str:
    found = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in _DECIDING and path.is_file():
                found.update(path.relative_to(root).as_posix().encode() + b"\0")
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]
