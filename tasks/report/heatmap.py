"""A heat map as one small inline SVG: a row per ticker, a column per step of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

LEVELS = 5
"""Shades, the first for none at all and the last for complete."""

_CELL, _ROW, _LEFT, _TOP = 10, 12, 58, 18


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
