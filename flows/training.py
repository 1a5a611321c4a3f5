"""Fine-tuning: one recipe, one data set, one process of its own, one row in `models`."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from flows.connections import clock_of, find_dataset, finetune_job
from flows.platform.display import report_progress
from flows.platform.runtime import DatasetId, configured_flow
from flows.settings import Settings
from tasks.prediction import registry
from tasks.training.job import FinetuneResult, Progress
from tasks.training.plan import Plan, plan
from tasks.training.process import run_job
from tasks.training.recipe import load_recipe
from warehouse.lake import Lake

STAGE = "train"
UPDATE_INTERVAL = 2.0
"""Seconds between two updates of the progress artifact; each is a request to the server."""

Point = tuple[float, float]


@configured_flow("finetune", hours=24)
def finetune(settings: Settings, dataset_id: DatasetId = None) -> FinetuneResult:
    """Fine-tune the configured recipe; an adapter that already exists is found, not made again."""
    job = finetune_job(settings, find_dataset(settings, dataset_id).dataset_id)
    artifact = TrainingProgress()

    def on_progress(event: Progress) -> None:
        report_progress(event)
        artifact(event)

    result = run_job(job, on_progress)
    register(settings, result)
    show_loss_curve(result.metrics.get("loss_curve", ()), result.model_id)
    create_markdown_artifact(_card(result), key="model-card", description=result.model_id)
    return result


def plan_of(settings: Settings, dataset_id: str | None) -> Plan:
    """What the configured fine-tune would take here: memory and time, before anything is loaded."""
    manifest = find_dataset(settings, dataset_id)
    folder = settings.data_root / "datasets" / manifest.dataset_id
    return plan(load_recipe(settings.training.recipe), folder)


def register(settings: Settings, result: FinetuneResult) -> None:
    """Write one row to `models`; a model that is already there stays as it is."""
    with Lake.open(settings.warehouse) as lake:
        registry.register(lake, result, now=clock_of(settings)())


def _card(result: FinetuneResult) -> str:
    path = Path(result.path) / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else f"Model {result.model_id}"


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
