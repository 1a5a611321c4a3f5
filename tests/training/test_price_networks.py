"""Hazards of the price networks: other numbers on a second run, an attack that does not attack,
an epoch chosen on the test split, a network that cannot learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tasks.training.price_networks import (
    NETWORKS,
    AttentiveLSTM,
    Samples,
    adversarial,
    hinge,
    p_up,
)

FEW = {kind: replace(spec, epochs=8, batch_size=100) for kind, spec in NETWORKS.items()}


def samples(rows: int, seed: int, strength: float) -> Samples:
    """Windows whose last session leans the way the row went."""
    draw = np.random.default_rng(seed)
    label = draw.random(rows) < 0.5
    windows = draw.normal(size=(rows, 10, 11)).astype(np.float32)
    windows[:, -1, :3] += strength * np.where(label, 1, -1)[:, None]
    return Samples(windows, label)


@pytest.fixture(scope="module")
def splits() -> tuple[Samples, Samples, Samples]:
    return samples(400, 1, 1.5), samples(100, 2, 1.5), samples(200, 3, 1.5)


def accuracy(p: np.ndarray, split: Samples) -> float:
    return float(((p >= 0.5) == split.label_up).mean())


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_same_seed_gives_the_same_numbers_and_learns_what_is_planted(kind, splits) -> None:
    # The authors' penalty for the LSTM (10) lets it learn little in so few epochs.
    spec = replace(FEW[kind], penalty=0.01)
    first = p_up(spec, 0, *splits)
    assert np.array_equal(first, p_up(spec, 0, *splits))
    assert not np.array_equal(first, p_up(spec, 1, *splits))
    assert accuracy(first, splits[2]) > 0.85


def test_test_rows_change_nothing_that_is_learned(splits) -> None:
    train, validation, test = splits
    whole = p_up(FEW["ALSTM"], 0, train, validation, test)
    half = Samples(test.windows[:100], ~test.label_up[:100])
    # BLAS may add in another order for another number of rows.
    assert p_up(FEW["ALSTM"], 0, train, validation, half) == pytest.approx(whole[:100], abs=1e-6)


def test_epoch_is_chosen_on_the_validation_rows(splits) -> None:
    train, validation, test = splits
    turned = Samples(validation.windows, ~validation.label_up)
    spec = replace(FEW["ALSTM"], penalty=0.01)
    chosen, against = (p_up(spec, 0, train, held, test) for held in (validation, turned))
    assert accuracy(against, test) < accuracy(chosen, test)


def test_adversarial_step_has_its_radius_and_raises_the_loss() -> None:
    torch.manual_seed(0)
    network = AttentiveLSTM(11, 4, attention=True)
    windows, signs = torch.randn(8, 5, 11), torch.tensor([1.0, -1.0] * 4)
    latent, score = network(windows)
    loss = hinge(score, signs)
    moved = adversarial(latent, loss, 0.05)
    assert torch.allclose((moved - latent).norm(dim=1), torch.full((8,), 0.05), atol=1e-6)
    assert hinge(network.score(moved)[:, 0], signs) > loss


def test_adversarial_training_departs_from_its_alstm(splits) -> None:
    plain, attacked = (p_up(FEW[kind], 0, *splits) for kind in ("ALSTM", "Adv-ALSTM"))
    assert not np.array_equal(plain, attacked)


def test_hinge_loss_is_zero_beyond_the_margin() -> None:
    loss = hinge(torch.tensor([2.0, -0.5, 0.25]), torch.tensor([1.0, -1.0, -1.0]))
    assert loss.item() == pytest.approx((0 + 0.5 + 1.25) / 3)
