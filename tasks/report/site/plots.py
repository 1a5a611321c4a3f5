"""The site's plots over time: forward accuracy, drift, label balance, loss curves, coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from tasks.evaluation.spec import ALWAYS_UP, MAJORITY, PREVIOUS_DIRECTION, TFIDF_LOGISTIC
from tasks.report.plots import (
    ACCENT,
    INK,
    LINE,
    NARROW,
    QUIET,
    SECOND,
    THIRD,
    few_ticks,
    month_ticks,
    plot,
)

LEVELS = 5
"""Shades, the first for none at all and the last for complete."""

_CELL, _ROW, _LEFT, _TOP = 10, 12, 58, 18

Rows = Sequence[Mapping[str, Any]]
COMPARED = 6
"""How many loss curves one plot can hold and still be read."""

BESIDE = (MAJORITY, ALWAYS_UP, TFIDF_LOGISTIC, PREVIOUS_DIRECTION)
"""The predictors the candidate is drawn beside first; more than three lines cannot be read."""

_STYLES = (
    (ACCENT, "-"),
    (THIRD, "-"),
    (SECOND, "-"),
    (ACCENT, "--"),
    (THIRD, "--"),
    (SECOND, "--"),
)


def running_accuracy(
    name: str, title: str, rows: Rows, strong: str, labels: Mapping[str, str]
) -> Markup:
    """Accuracy of all sessions so far by week; the predictor `strong` with its bounds.

    `rows`: see `ForwardRecord.running`; `labels`: how each predictor is shown.
    """
    lines = _by(rows, "predictor")
    others = [name for name in (*BESIDE, *lines) if name in lines and name != strong]
    others = list(dict.fromkeys(others))[:3]

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        axes.axhline(50, color=LINE, linewidth=1)
        styles = ((QUIET, (0, (4, 2))), (THIRD, "-"), (SECOND, "-"))
        for predictor, (colour, dash) in zip(others, styles, strict=False):
            axes.plot(
                [row["session"] for row in lines[predictor]],
                [100 * row["accuracy"] for row in lines[predictor]],
                color=colour,
                linestyle=dash,
                linewidth=1.1,
                label=labels[predictor],
            )
        own = lines.get(strong, [])
        when = [row["session"] for row in own]
        low, high = ([100 * row[key] for row in own] for key in ("ci_low", "ci_high"))
        axes.fill_between(when, low, high, color=ACCENT, alpha=0.15, linewidth=0)
        axes.plot(
            when,
            [100 * row["accuracy"] for row in own],
            color=ACCENT,
            linewidth=2,
            label=labels[strong],
        )
        axes.set_ylabel("accuracy, %")
        _dates(axes, [row["session"] for row in rows], width)
        _legend_below(figure, axes, width)

    last = {name: lines[name][-1] for name in (strong, *others) if name in lines}
    words = "Of all sessions so far: " + "; ".join(
        f"{labels[predictor]} {100 * row['accuracy']:.1f}%"
        f" ({100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f})"
        for predictor, row in last.items()
    )
    return plot(name, title, words, draw, height=3.2)


def shares(
    name: str, title: str, rows: Rows, drawn: Mapping[str, str], *, unit: str, percent: bool = True
) -> Markup:
    """One line per column of `drawn` (column to legend) over the rows' `month`."""

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        when = [row["month"] for row in rows]
        for (column, legend), colour in zip(drawn.items(), (ACCENT, THIRD, SECOND), strict=False):
            scale = 100 if percent else 1
            values = [None if row[column] is None else scale * row[column] for row in rows]
            axes.plot(when, values, color=colour, linewidth=1.7, label=legend)
        axes.set_ylabel(unit)
        _dates(axes, when, width)
        if len(drawn) > 1:
            _legend_below(figure, axes, width)

    words = "; ".join(
        f"{legend}: {_span([row[column] for row in rows if row[column] is not None], percent)}"
        for column, legend in drawn.items()
    )
    return plot(name, title, words, draw, height=2.5)


def loss_curves(
    name: str, title: str, curves: Mapping[str, Sequence[tuple[float, float]]]
) -> Markup:
    """Training loss of up to COMPARED models by step, the first one in front."""
    drawn = dict(list(curves.items())[:COMPARED])

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        for (model, curve), (colour, dash) in zip(drawn.items(), _STYLES, strict=False):
            steps, losses = zip(*curve, strict=True)
            axes.plot(steps, losses, color=colour, linestyle=dash, linewidth=1.6, label=model)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats per answer token)")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(few_ticks(width, integer=True))
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.02)
        _legend_below(figure, axes, width)

    words = "; ".join(
        f"{model} from {curve[0][1]:.3f} to {curve[-1][1]:.3f}" for model, curve in drawn.items()
    )
    return plot(name, title, words, draw, height=3.2)


def _by(rows: Rows, key: str) -> dict[str, list[Mapping[str, Any]]]:
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row[key], []).append(row)
    return grouped


def _span(values: Sequence[float], percent: bool) -> str:
    if not values:
        return "no values"
    form = ".1%" if percent else ".2f"
    return f"{min(values):{form}} to {max(values):{form}}, last {values[-1]:{form}}"


def _dates(axes: Any, when: Sequence[date], width: float) -> None:
    first = {(day.year, day.month): day for day in sorted(when, reverse=True)}
    ticks, form = month_ticks(sorted(first.values()), 7 if width > NARROW else 4)
    axes.set_xticks(ticks, [f"{tick:{form}}" for tick in ticks])
    axes.yaxis.set_major_locator(few_ticks(width))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.01)


def _legend_below(figure: Any, axes: Any, width: float) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = min(len(labels), 4 if width > NARROW else 2)
    figure.legend(
        handles, labels, loc="outside lower left", ncols=columns, labelcolor=INK, handlelength=1.6
    )


def heatmap(
    name: str, title: str, rows: Sequence[Mapping[str, Any]], value: str, form: str
) -> Markup:
    """Shade each ticker and step by `rows`' share in column `value` (0 to 1).

    `rows`: ticker, step (date) and the share, complete over both, ordered by ticker and step.
    `form` formats the dates of the column heads. Each shade is one path, so a map of a hundred
    tickers and sixty steps stays below 100 kB.
    """
    tickers = list(dict.fromkeys(row["ticker"] for row in rows))
    steps = list(dict.fromkeys(row["step"] for row in rows))
    paths = [""] * LEVELS
    for place, row in enumerate(rows):
        x = _LEFT + _CELL * (place % len(steps))
        y = _TOP + _ROW * (place // len(steps))
        paths[_level(row[value])] += f"M{x} {y}h{_CELL - 1}v{_ROW - 1}h-{_CELL - 1}z"
    shades = Markup("").join(
        Markup('<path class="shade-{}" d="{}"/>').format(level, path)
        for level, path in enumerate(paths)
        if path
    )
    labels = Markup("").join(
        Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            _LEFT - 6, _TOP + _ROW * place + _ROW - 3, ticker
        )
        for place, ticker in enumerate(tickers)
    )
    width, height = _LEFT + _CELL * len(steps) + 40, _TOP + _ROW * len(tickers)
    complete = sum(row[value] >= 1 for row in rows)
    words = (
        f"{len(tickers)} tickers by {len(steps)} steps from {steps[0]} to {steps[-1]}: "
        f"{complete / len(rows):.0%} of the cells complete, "
        f"{sum(row[value] <= 0 for row in rows) / len(rows):.0%} empty."
    )
    return Markup(
        '<figure class="heat"><div class="scroll" role="region" tabindex="0" aria-label="{title}">'
        '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{title}</title>'
        '<desc id="{name}-d">{words}</desc>{heads}{labels}{shades}</svg></div>'
        "<figcaption>{title}. {words}</figcaption></figure>"
    ).format(
        w=width,
        h=height,
        name=name,
        title=title,
        words=words,
        heads=_heads(steps, form),
        labels=labels,
        shades=shades,
    )


def _level(share: float) -> int:
    """0 for none, the last for all, and the steps between evenly."""
    if share <= 0:
        return 0
    return LEVELS - 1 if share >= 1 else 1 + int(share * (LEVELS - 2))


def _heads(steps: Sequence[date], form: str) -> Markup:
    """Column heads where the formatted date changes, no closer than a label is wide."""
    heads, last = [], -99
    for place, step in enumerate(steps):
        new = place == 0 or f"{steps[place - 1]:{form}}" != f"{step:{form}}"
        if new and place - last >= 6:
            last = place
            heads.append(
                Markup('<text x="{}" y="{}">{}</text>').format(
                    _LEFT + _CELL * place, _TOP - 6, f"{step:{form}}"
                )
            )
    return Markup("").join(heads)
