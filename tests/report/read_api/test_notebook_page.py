"""The examples of the notebook page, run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "notebook.md"


def test_examples_run_as_printed(diary, monkeypatch, capsys) -> None:
    monkeypatch.chdir(diary.root.parent)
    assert diary.root.name == "data"
    names: dict[str, object] = {}
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) > 5
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name} block {number}", "exec"), names)
    assert "no skill shown" in capsys.readouterr().out
