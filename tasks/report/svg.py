"""A matplotlib figure as inline SVG that follows the page: its colours, its font, its width."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

INK = "#010203"
QUIET = "#010204"
LINE = "#010205"
ACCENT = "#010206"
SECOND = "#010207"
THIRD = "#010208"
SOFT = "#010209"
_VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    SOFT: "var(--soft)",
}
"""Colours to draw with. They stand for the page's CSS variables, so a plot turns dark with it."""

WIDE, NARROW = 7.2, 3.6
"""Inches of a plot beside text and of one on a phone; at 96 dpi its text is as drawn."""

Draw = Callable[[Any, float], None]
"""Draws into an empty Figure, whose width in inches it is told."""


def plot(name: str, title: str, description: str, draw: Draw, *, height: float) -> Markup:
    """Two drawings of one plot, for wide and narrow screens, as one figure element.

    `name` makes ids unique within a page and must be an identifier. `description` says in words
    what the plot shows, for readers who do not see it. Equal input gives equal bytes.
    """
    drawings = [
        Markup('<div class="{}">{}</div>').format(
            size, _svg(f"{name}-{size}", title, description, draw, width, height)
        )
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    ]
    return Markup('<figure class="plot">{}<figcaption>{}</figcaption></figure>').format(
        Markup("").join(drawings), title
    )


def _svg(
    name: str, title: str, description: str, draw: Draw, width: float, height: float
) -> Markup:
    from io import StringIO

    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 9.5,
        "text.color": INK,
        "axes.edgecolor": LINE,
        "axes.labelcolor": QUIET,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.labelsize": 9.5,
        "axes.unicode_minus": True,
        "xtick.color": QUIET,
        "ytick.color": QUIET,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "grid.color": LINE,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure, width)
        buffer = StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _embedded(buffer.getvalue(), name, title, description)


def _embedded(text: str, name: str, title: str, description: str) -> Markup:
    """The svg element alone, with unique ids, page colours, a name and a description."""
    body = text[text.index("<svg") :]
    view_box = re.search(r'viewBox="[^"]+"', body)
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", body)
    body = body.replace("xlink:href", "href")
    for placeholder, variable in _VARIABLES.items():
        body = body.replace(placeholder, variable)
    body = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", body)
    body = re.sub(r"\n\s*", "\n", body)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {view_box[0] if view_box else ""} role="img" '
        f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>'
    )
    return Markup(head + body.strip())  # noqa: S704 - matplotlib escapes the text it draws
