"""The report's plots: each takes plain numbers and returns a figure element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from tasks.report.svg import ACCENT, INK, LINE, NARROW, QUIET, SECOND, THIRD, plot

Curve = Sequence[tuple[float, float]]
"""(step, loss) pairs in the order of training."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; None where the data cannot say. `strong` draws it in accent."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    strong: bool = False


def forest(
    name: str,
    title: str,
    estimates: Sequence[Estimate],
    *,
    reference: float,
    unit: str,
    scale: float,
) -> Markup:
    """A row per estimate, its interval as a line, and a vertical line at `reference`.

    Values are shown multiplied by `scale`, in `unit`.
    """
    shown = [item for item in estimates if item.value is not None]

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        axes.axvline(reference * scale, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        for place, item in enumerate(reversed(shown)):
            colour = ACCENT if item.strong else QUIET
            value = (item.value or 0.0) * scale
            if item.low is not None and item.high is not None:
                axes.plot(
                    [item.low * scale, item.high * scale],
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

    words = "; ".join(_in_words(item, scale) for item in shown)
    height = 0.75 + 0.34 * len(shown)
    return plot(
        name, title, f"{words}. Reference line at {reference * scale:g}.", draw, height=height
    )


def _in_words(item: Estimate, scale: float) -> str:
    text = f"{item.label} {(item.value or 0.0) * scale:.1f}"
    if item.low is None or item.high is None:
        return text
    return f"{text}, interval {item.low * scale:.1f} to {item.high * scale:.1f}"


def loss_curve(name: str, title: str, curve: Curve, validation: Curve = ()) -> Markup:
    """Training loss by step in nats, and beside it the validation split's cross-entropy."""
    lines = {"training": curve, "validation": validation}
    drawn = {label: points for label, points in lines.items() if points}

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        for (label, points), colour in zip(drawn.items(), (ACCENT, THIRD), strict=False):
            steps, losses = zip(*points, strict=True)
            mark = "o" if len(points) <= 40 else ""
            axes.plot(steps, losses, color=colour, marker=mark, markersize=3, label=label)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(few_ticks(width, integer=True))
        axes.margins(x=0.02)
        axes.spines["left"].set_visible(False)
        if len(drawn) > 1:
            axes.legend(loc="upper right", labelcolor=INK)

    words = " ".join(
        f"{label.capitalize()}: {len(points)} points from step {points[0][0]:g}, loss "
        f"{points[0][1]:.3f}, to step {points[-1][0]:g}, loss {points[-1][1]:.3f}."
        for label, points in drawn.items()
    )
    return plot(name, title, words, draw, height=2.6)


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


def months(name: str, title: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Bars and headlines by month, one panel each over a shared time axis."""

    def draw(figure: Any, width: float) -> None:
        panels = figure.subplots(2, 1, sharex=True)
        when: list[date] = [row["month"] for row in rows]
        for axes, key, colour in zip(panels, ("bars", "headlines"), (SECOND, ACCENT), strict=True):
            counts = [row[key] for row in rows]
            axes.fill_between(when, counts, step="mid", color=colour, alpha=0.75, linewidth=0)
            axes.set_ylim(bottom=0)
            axes.set_title(f"{key} per month", loc="left", fontsize=9.5, color=QUIET)
            axes.yaxis.set_major_locator(few_ticks(NARROW / 2, integer=True))
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.spines["left"].set_visible(False)
            axes.margins(x=0)
        ticks, form = month_ticks(when, 7 if width > NARROW else 4)
        panels[-1].set_xticks(ticks, [f"{tick:{form}}" for tick in ticks])

    totals = {key: sum(row[key] for row in rows) for key in ("bars", "headlines")}
    words = (
        f"From {rows[0]['month']:%B %Y} to {rows[-1]['month']:%B %Y}: {totals['bars']:,} bars and "
        f"{totals['headlines']:,} headlines in {len(rows)} months."
    )
    return plot(name, title, words, draw, height=2.8)


def growth(name: str, title: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Growth of 1 by session, after costs, before them, and by holding everything."""
    lines = {
        "growth_net": ("calls, after costs", ACCENT),
        "growth_gross": ("calls, before costs", SECOND),
        "growth_holding": ("holding every example", THIRD),
    }

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        when = [row["session"] for row in rows]
        axes.axhline(1, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        for key, (label, colour) in lines.items():
            axes.plot(when, [row[key] for row in rows], color=colour, linewidth=1.5, label=label)
        months = sorted({day.replace(day=1) for day in when})
        ticks, form = month_ticks(months, 7 if width > NARROW else 4)
        axes.set_xticks(ticks, [f"{tick:{form}}" for tick in ticks])
        axes.set_xlim(when[0], when[-1])
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        axes.legend(loc="upper left", labelcolor=INK)

    last = ", ".join(f"{label} {rows[-1][key]:.2f}" for key, (label, _) in lines.items())
    words = f"From {rows[0]['session']} to {rows[-1]['session']}, 1 becomes: {last}."
    return plot(name, title, words, draw, height=2.8)


def month_ticks(when: Sequence[date], most: int) -> tuple[list[date], str]:
    """At most about `most` of the months, at a stride a calendar knows, and their format."""
    stride = next(n for n in (1, 2, 3, 6, 12, 24, 60, 120, 600) if len(when) <= n * most)
    ticks = [day for day in when if (12 * day.year + day.month - 1) % stride == 0]
    return ticks, "%Y" if stride >= 12 else "%b %Y"


def few_ticks(width: float, *, integer: bool = False) -> Any:
    """A tick locator for round numbers, as many as an axis of `width` inches can label."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=7 if width > NARROW else 4, integer=integer, steps=[1, 2, 5, 10])
