"""The lesson's pictures: small SVG files drawn from numbers that the lesson has computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

FOLDER = Path("how-a-language-model-learns")
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.facecolor": "white",
}
_BLUE, _ORANGE, _GREY = "#3949ab", "#e65100", "#9e9e9e"


def likeness(words: Sequence[str], table: Any) -> None:
    """How alike each two words' embeddings are: cosines, shape (words, words)."""
    values = np.asarray(table)
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "likeness"}):
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        axes.imshow(values, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(words)), words)
        axes.set_yticks(range(len(words)), words)
        for (row, column), value in np.ndenumerate(values):
            ink = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink)
        _save(figure, "likeness")


def attention(tokens: Sequence[str], shares: Any) -> None:
    """What the last position looks at: shares by layer and token, shape (layers, tokens).

    The first token is left out: it takes most of every row.
    """
    values = np.asarray(shares)[:, 1:]
    shown = [token.replace("\n", "↵") for token in tokens[1:]]
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "attention"}):
        figure = Figure(figsize=(7, 4.6), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(values, cmap="Blues", aspect="auto", interpolation="nearest")
        axes.set_xticks(range(len(shown)), shown, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks([0, 9, 19, 29], ["1", "10", "20", "30"])
        axes.set_ylabel("layer")
        figure.colorbar(image, label="share of attention")
        _save(figure, "attention")


def next_tokens(before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """The likeliest next tokens and their probabilities, before and after the training."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "next"}):
        figure = Figure(figsize=(7, 3), layout="constrained")
        pair = figure.subplots(1, 2, sharex=True)
        for axes, title, found in zip(
            pair, ("before training", "after training"), (before, after), strict=True
        ):
            names = [repr(name)[1:-1].replace(" ", "␣") for name in found]
            answers = [name.strip() in {"up", "down"} for name in found]
            axes.barh(names, list(found.values()), color=[_ORANGE if a else _GREY for a in answers])
            axes.invert_yaxis()
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("probability")
        _save(figure, "next_tokens")


def losses(batches: Sequence[float]) -> None:
    """The loss of each training step."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "losses"}):
        figure = Figure(figsize=(7, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.plot(range(1, len(batches) + 1), batches, color=_BLUE, marker="o")
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.set_ylim(bottom=0)
        _save(figure, "losses")


def _save(figure: Figure, name: str) -> None:
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
