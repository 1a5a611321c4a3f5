"""Hazard of memory: a base model that knows the company and the year, not the news."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tasks.evaluation.masking import compare_masked
from tasks.evaluation.spec import EvaluationSpec

MakeFrame = Callable[..., pa.Table]
SPEC = EvaluationSpec(resamples=200)


def test_memory_of_names_is_noticed_and_its_absence_too(make_frame: MakeFrame) -> None:
    frame = make_frame()
    label = frame["label_up"].to_numpy()
    rng = np.random.default_rng(2)
    plain = np.where(label == (rng.random(len(label)) < 0.7), 0.7, 0.3)
    forgotten = compare_masked(frame, plain, np.full(len(label), 0.5), SPEC)
    assert forgotten.memory_suspected
    assert "may be memory" in forgotten.words
    assert not compare_masked(frame, plain, plain, SPEC).memory_suspected
