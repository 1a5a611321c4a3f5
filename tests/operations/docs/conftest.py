"""What the pages print, taken apart."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: what language it says it is in, and its text."""

    language: str
    text: str

    def commands(self) -> list[list[str]]:
        """The words of each `newsvane` command of a console or shell block."""
        if self.language not in {"console", "sh"}:
            return []
        lines = [line.removeprefix("$ ") for line in self.text.splitlines()]
        parts = [part for line in lines for part in line.split(" && ")]
        split = [shlex.split(part, comments=True) for part in parts if "newsvane " in part]
        return [words[1:] for words in split if words and words[0] == "newsvane"]


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(REPOSITORY).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def blocks(self) -> list[Block]:
        return [Block(*match.groups()) for match in _FENCE.finditer(self.text)]

    def all(self, language: str) -> list[str]:
        """The texts of all blocks of one language, in order."""
        return [block.text for block in self.blocks if block.language == language]

    def commands(self) -> list[list[str]]:
        """The words of every `newsvane` command, in order."""
        return [words for block in self.blocks for words in block.commands()]


def every_page() -> list[Page]:
    found = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [Page(path) for path in found]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take `page` run once for each page that prints what they check."""
    if "page" in metafunc.fixturenames:
        wanted = {"command": lambda page: page.commands(), "toml": lambda page: page.all("toml")}
        pick = next(check for word, check in wanted.items() if word in metafunc.function.__name__)
        pages = [page for page in every_page() if pick(page)]
        metafunc.parametrize("page", pages, ids=[page.name for page in pages])


@pytest.fixture
def pages() -> list[Page]:
    return every_page()
