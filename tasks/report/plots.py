"""Plots as inline SVG that follows the page: its colours, its font, its width."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup, escape

INK, QUIET, LINE, ACCENT, SECOND, THIRD = (f"#01020{digit}" for digit in range(3, 9))
_NAMES = ("ink", "quiet", "line", "accent", "second", "third")
_VARIABLES = {
    colour: f"var(--{name})"
    for colour, name in zip((INK, QUIET, LINE, ACCENT, SECOND, THIRD), _NAMES, strict=True)
}
"""Colours to draw with. They stand for the page's CSS variables, so a plot turns dark with it."""

WIDE, NARROW = 7.2, 3.6
"""Inches of a plot beside text and of one on a phone; at 96 dpi its text is as drawn."""

Draw = Callable[[Any, float], None]
"""Draws into an empty Figure, given its width in inches."""


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; None where the data cannot say. `strong` draws it in accent."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    strong: bool = False


def forest(
    name: str, title: str, estimates: Sequence[Estimate], *, reference: float, unit: str
) -> Markup:
    """A row per estimate, its interval as a line, and a vertical line at `reference`.

    Values are shares, shown in percent, in `unit`.
    """
    shown = [item for item in estimates if item.value is not None]

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        axes.axvline(100 * reference, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        for place, item in enumerate(reversed(shown)):
            colour = ACCENT if item.strong else QUIET
            value = 100 * (item.value or 0.0)
            if item.low is not None and item.high is not None:
                axes.plot(
                    [100 * item.low, 100 * item.high],
                    [place, place],
                    color=colour,
                    linewidth=2.2 if item.strong else 1.4,
                    solid_capstyle="butt",
                    zorder=2,
                )
            axes.plot([value], [place], "o", color=colour, markersize=6.5 if item.strong else 5)
        axes.set_yticks(range(len(shown)), [item.label for item in reversed(shown)])
        for tick, item in zip(axes.get_yticklabels(), reversed(shown), strict=True):
            tick.set_color(INK if item.strong else QUIET)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(few_ticks(width))
        axes.grid(axis="x", zorder=0)
        axes.set_axisbelow(True)
        axes.set_xlabel(unit)

    words = "; ".join(_in_words(item) for item in shown)
    height = 0.75 + 0.34 * len(shown)
    return plot(
        name, title, f"{words}. Reference line at {100 * reference:g}.", draw, height=height
    )


def _in_words(item: Estimate) -> str:
    text = f"{item.label} {100 * (item.value or 0.0):.1f}"
    if item.low is None or item.high is None:
        return text
    return f"{text}, interval {100 * item.low:.1f} to {100 * item.high:.1f}"


def reliability(name: str, title: str, curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Markup:
    """Observed share of up against the mean P(up) of each tenth; dot area grows with the rows.

    `curves`: one or two predictors, each with its bins (mean_p_up, up_share, n).
    """

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1.2, zorder=1)
        for (predictor, bins), colour in zip(curves.items(), (ACCENT, THIRD), strict=False):
            x, y = [cell["mean_p_up"] for cell in bins], [cell["up_share"] for cell in bins]
            largest = max(cell["n"] for cell in bins)
            areas = [8 + 70 * cell["n"] / largest for cell in bins]
            axes.plot(x, y, color=colour, linewidth=1, alpha=0.5, zorder=2)
            axes.scatter(
                x, y, areas, color=colour, label=predictor, zorder=3, linewidths=0, clip_on=False
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal", anchor="W" if width > NARROW else "C")
        axes.set_xlabel("P(up) as predicted")
        axes.set_ylabel("share that went up")
        axes.grid()
        axes.set_axisbelow(True)
        inside = width <= NARROW
        axes.legend(
            loc="upper left" if inside else "center left",
            bbox_to_anchor=None if inside else (1.05, 0.5),
            labelcolor=INK,
        )

    words = ". ".join(
        f"{predictor}: "
        + "; ".join(
            f"predicted {cell['mean_p_up']:.2f}, observed {cell['up_share']:.2f} ({cell['n']} rows)"
            for cell in bins
        )
        for predictor, bins in curves.items()
    )
    return plot(name, title, words, draw, height=3.3)


def month_ticks(when: Sequence[date], most: int) -> tuple[list[date], str]:
    """At most about `most` of the months, at a stride a calendar knows, and their format."""
    stride = next(n for n in (1, 2, 3, 6, 12, 24, 60, 120, 600) if len(when) <= n * most)
    ticks = [day for day in when if (12 * day.year + day.month - 1) % stride == 0]
    return ticks, "%Y" if stride >= 12 else "%b %Y"


def few_ticks(width: float, *, integer: bool = False) -> Any:
    """A tick locator for round numbers, as many as an axis of `width` inches can label."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=7 if width > NARROW else 4, integer=integer, steps=[1, 2, 5, 10])
