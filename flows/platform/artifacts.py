"""Artifacts of a training in the Prefect UI: progress while it runs, the loss curve at its end."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from tasks.training.job import Progress

STAGE = "train"
UPDATE_INTERVAL = 2.0
"""Seconds between two updates of the progress artifact; each is a request to the server."""

Point = tuple[float, float]


class TrainingProgress:
    """Keeps one progress artifact of the running flow up to date: loss, tokens/s, time left."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._artifact: UUID | None = None
        self._next = 0.0

    def __call__(self, event: Progress) -> None:
        """Show one event of the training stage; others are not shown."""
        if event.stage != STAGE or not event.total:
            return
        percent, description = 100 * event.done / event.total, described(event)
        if self._artifact is None:
            created = create_progress_artifact(percent, key="training", description=description)
            self._artifact = cast(UUID, created)  # no coroutine: flows of ours are not asynchronous
        elif self._monotonic() >= self._next or event.done == event.total:
            update_progress_artifact(self._artifact, percent, description=description)
        else:
            return
        self._next = self._monotonic() + UPDATE_INTERVAL


def described(event: Progress) -> str:
    """`step 20 of 60, loss 1.234, 1,200 tokens/s, 0:01:30 left`; what is unknown is left out."""
    parts = [f"step {event.done:,} of {event.total:,}"]
    if (loss := event.metrics.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (speed := event.metrics.get("tokens_per_second")) is not None:
        parts.append(f"{speed:,.0f} tokens/s")
    if event.eta is not None:
        parts.append(f"{timedelta(seconds=round(event.eta))} left")
    return ", ".join(parts)


def show_loss_curve(curve: Sequence[Point], description: str) -> None:
    """An image artifact `loss-curve` of (step, nats) points; nothing without at least two."""
    if len(curve) >= 2:
        image = base64.b64encode(loss_curve_svg(curve).encode()).decode()
        create_image_artifact(
            f"data:image/svg+xml;base64,{image}", key="loss-curve", description=description
        )


def loss_curve_svg(curve: Sequence[Point]) -> str:
    """One line on white, 640 by 260 pixels, its ends in words. Steps must ascend."""
    steps, losses = zip(*curve, strict=True)
    low, high = min(losses), max(losses)
    wide, tall = steps[-1] - steps[0] or 1.0, high - low or 1.0
    line = " ".join(
        f"{60 + 560 * (step - steps[0]) / wide:.1f},{220 - 190 * (loss - low) / tall:.1f}"
        for step, loss in curve
    )
    title = f"loss {losses[0]:.3f} at step {steps[0]:g}, {losses[-1]:.3f} at step {steps[-1]:g}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="260" font-size="12"'
        f' font-family="sans-serif"><title>{title}</title>'
        '<rect width="640" height="260" fill="white"/>'
        '<path d="M60 30V220H620" fill="none" stroke="#999"/>'
        f'<polyline points="{line}" fill="none" stroke="#1860f2" stroke-width="2"/>'
        f'<text x="54" y="34" text-anchor="end">{high:.3f}</text>'
        f'<text x="54" y="224" text-anchor="end">{low:.3f}</text>'
        f'<text x="60" y="246">step {steps[0]:g}</text>'
        f'<text x="620" y="246" text-anchor="end">step {steps[-1]:g}</text>'
        f'<text x="340" y="20" text-anchor="middle">{title} (nats per token)</text></svg>'
    )
