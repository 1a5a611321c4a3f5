"""Prints requirements of pyproject.toml: FILE EXTRA... those of the project with these extras, or
FILE --only GROUP those of a dependency group.

So that they are installed apart from the project, which has no hash: in an image in a layer of
their own, before the code is copied.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(path: Path, extras: list[str]) -> None:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    if extras[:1] == ["--only"]:
        wanted = [line for group in extras[1:] for line in tables["dependency-groups"][group]]
    else:
        project = tables["project"]
        wanted = list(project["dependencies"])
        for extra in extras:
            wanted += project["optional-dependencies"][extra]
    print("\n".join(wanted))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
