"""Hazard of recall: a base model remembers how test sessions ended, and that looks like skill."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tasks.dataset.spec.render import RenderSpec
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.memory import Memory, recall_by_slice, through_memory
from tasks.evaluation.metrics import ranks
from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.backtest import with_base_cutoff

SPEC = EvaluationSpec(resamples=300, by_ticker=False, period=None)
WORLDS = 50


def _chance(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _world(make_frame, seed: int, known: float) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Examples, P(up) from memory of a share `known` of them, and of a model that leans on it."""
    frame = make_frame(sessions=60, tickers=8, seed=seed)
    rng = np.random.default_rng([seed, 7])
    up = np.where(frame["label_up"].to_numpy(), 1.0, -1.0)
    taught = rng.random(len(up)) < known
    odds = rng.normal(0.4, 1, len(up)) + np.where(taught, 1.5 * up, 0.0)
    return frame, _chance(odds), _chance(odds + rng.normal(0, 0.5, len(up)))


def _memory(frame: pa.Table, recalled: np.ndarray, p_up: np.ndarray) -> Memory:
    recall = recall_by_slice(frame, recalled, SPEC)["all"][0]
    return Memory(recall, through_memory(frame, p_up, recalled, SPEC), frame.num_rows)


def test_planted_memory_is_found_and_an_honest_base_is_left_alone(make_frame) -> None:
    """A model that calls as its base does, on a base that knows half of the outcomes, or none."""
    counted = {}
    for known in (0.0, 0.5):
        found = [_memory(*_world(make_frame, seed, known)) for seed in range(WORLDS)]
        counted[known] = [sum(m.found for m in found), sum(m.followed for m in found)]
    assert min(counted[0.5]) >= 0.9 * WORLDS
    assert max(counted[0.0]) <= 0.08 * WORLDS  # 2.5 % is the level; four of fifty are 5 % luck


def test_accuracy_where_the_probe_is_right_would_accuse_an_honest_base(make_frame) -> None:
    """Why the interaction is not measured so: two that call alike are right together."""
    frame, recalled, p_up = _world(make_frame, 3, 0.0)
    label = frame["label_up"].to_numpy()
    right, probe_right = (p_up >= 0.5) == label, (recalled >= 0.5) == label
    assert right[probe_right].mean() - right[~probe_right].mean() > 0.5
    assert not _memory(frame, recalled, p_up).followed


def test_skill_that_owes_nothing_to_memory_is_not_withheld(make_frame) -> None:
    """The base remembers, the model reads the news alone."""
    frame, recalled, _ = _world(make_frame, 1, 0.5)
    up = np.where(frame["label_up"].to_numpy(), 1.0, -1.0)
    own = _chance(0.5 * up + np.random.default_rng(9).normal(0, 1, len(up)))
    weak = {"majority": np.full(len(up), 0.5)}
    independent = own[np.random.default_rng(2).permutation(len(own))]
    assert not _memory(frame, recalled, independent).followed
    found = _memory(frame, recalled, np.where(recalled > 2, own, own))
    share = found.through.value / (np.mean((own >= 0.5) == (up > 0)) - 0.5)
    assert found.found
    assert share < 0.6, "most of its skill is at equal memory"
    assert evaluate(frame, weak | {"model": own}, SPEC).verdict.skill


def test_the_verdict_withholds_and_says_so(make_frame) -> None:
    frame, recalled, p_up = _world(make_frame, 1, 0.5)
    predictions = {"majority": np.full(frame.num_rows, 0.5), "model": p_up}
    alone = evaluate(frame, predictions, SPEC).verdict
    memory = _memory(frame, recalled, p_up)
    judged = evaluate(frame, predictions, SPEC, memories={"model": memory}).verdict
    assert alone.skill
    assert not judged.skill
    assert judged.claim.startswith("withheld: its skill follows what its base model remembers")
    assert "skill follows memory" in judged.words


def test_a_probe_that_says_the_same_of_everything_says_nothing(make_frame) -> None:
    frame, _, p_up = _world(make_frame, 1, 0.5)
    memory = _memory(frame, np.full(frame.num_rows, 0.7), p_up)
    assert (memory.found, memory.followed, memory.through.value) == (False, False, 0.0)


def test_memory_that_ends_at_the_cutoff_is_seen_before_it_and_not_after(make_frame) -> None:
    frame = make_frame(sessions=80, tickers=8)
    cut = frame["session"][320].as_py()
    up = np.where(frame["label_up"].to_numpy(), 1.0, -1.0)
    known = np.arange(len(up)) <= 320
    p_up = _chance(np.random.default_rng(1).normal(0, 1, len(up)) + np.where(known, up, 0.0))
    spec = SPEC.model_copy(update={"period": "month"})
    found = recall_by_slice(with_base_cutoff(frame, cut), p_up, spec)
    before, after = (found[f"base_cutoff={side}"][0] for side in ("before", "after"))
    assert before.low > 0.5
    assert after.low < 0.5 < after.high
    assert {"all", "period=2024-01", "period=2024-03"} <= set(found)


def test_ranks_are_those_of_their_group_with_ties_shared() -> None:
    values = np.array([3.0, 1.0, 1.0, 5.0, 5.0, 4.0])
    assert ranks(values, np.array([0, 0, 0, 1, 1, 1])).tolist() == [2.5, 1.0, 1.0, 2.0, 2.0, 0.5]
    assert ranks(values[:3]).tolist() == [2.5, 1.0, 1.0]
    assert ranks(np.array([])).tolist() == []


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("{ticker} news:\n{headlines}\nDirection:", "{ticker} on {session}\nDirection:"),
        ("{headlines}\n{ticker} went", "{ticker} on {session}\nDirection:"),
        ("{ticker}\n{headlines}\nUp or down?", "{ticker} on {session}\nUp or down?"),
    ],
)
def test_the_question_without_news_shows_none(template: str, asked: str) -> None:
    render = RenderSpec(template=template, mask="COMPANY").without_news()
    assert (render.template, render.mask) == (asked, None)
