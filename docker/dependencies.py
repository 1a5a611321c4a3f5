"""Prints the requirements of pyproject.toml, with those of the extras named: FILE EXTRA...

So that an image installs them in a layer of their own, before the code is copied.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(path: Path, extras: list[str]) -> None:
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    print("\n".join(wanted))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
