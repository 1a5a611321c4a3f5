"""A home directory for the libraries that want one: a system service has none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def provide_home(root: Path) -> None:
    """Let this process, and those it starts, have their home below the data root `root`.

    Nothing happens when HOME names a folder that can be written. DuckDB, Prefect,
    great-expectations, matplotlib and Hugging Face keep extensions and caches there.
    """
    named = os.environ.get("HOME", "")
    if named and Path(named).is_dir() and os.access(named, os.W_OK | os.X_OK):
        return
    home = root.absolute() / "home"
    # Where the data root cannot be written either, whoever writes there first says so.
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(home)
