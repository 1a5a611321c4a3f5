"""LSTM, attentive LSTM (ALSTM) and its adversarial training (Adv-ALSTM) on price features.

Feng et al. (2019), "Enhancing Stock Movement Prediction with Adversarial Training", IJCAI; sizes
and rates are those that its authors give for this benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Windows = npt.NDArray[np.float32]
Kind = Literal["LSTM", "ALSTM", "Adv-ALSTM"]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network's size and training, as in the authors' code.

    `sessions` of history, `units` of the LSTM, `penalty` of the output layer's squared weights.
    An adversarial network begins from its trained ALSTM; `weight` and `radius` are those of its
    adversarial loss (beta and epsilon).
    """

    kind: Kind
    sessions: int
    units: int
    penalty: float
    weight: float = 0.0
    radius: float = 0.0
    epochs: int = 150
    batch_size: int = 1024
    learning_rate: float = 0.01


NETWORKS: dict[Kind, NetworkSpec] = {
    "LSTM": NetworkSpec("LSTM", sessions=10, units=32, penalty=10.0),
    "ALSTM": NetworkSpec("ALSTM", sessions=5, units=4, penalty=1.0),
    "Adv-ALSTM": NetworkSpec("Adv-ALSTM", 5, 4, 1.0, weight=0.01, radius=0.05),
}


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows of price features, shape (rows, sessions, features), and whether each row rose."""

    windows: Windows
    label_up: npt.NDArray[np.bool_]

    def last(self, sessions: int) -> Samples:
        """The same with only the last `sessions` of each window."""
        return Samples(self.windows[:, -sessions:], self.label_up)


class AttentiveLSTM(nn.Module):
    """Features through a tanh layer and an LSTM; its last state, with attention over all if asked.

    `forward` gives that representation and the score; a score above zero is a call of up.
    """

    def __init__(self, features: int, units: int, *, attention: bool) -> None:
        super().__init__()
        self.mapping = nn.Linear(features, features)
        self.lstm = nn.LSTM(features, units, batch_first=True)
        self.attended = nn.Linear(units, units) if attention else None
        self.query = nn.Parameter(torch.empty(units)) if attention else None
        self.score = nn.Linear(units * (2 if attention else 1), 1)
        self._initialise(units)

    def _initialise(self, units: int) -> None:
        for name, values in self.named_parameters():
            if values.dim() > 1:
                nn.init.xavier_uniform_(values)
            elif name == "query":
                nn.init.uniform_(values, -((3.0 / units) ** 0.5), (3.0 / units) ** 0.5)
            else:
                nn.init.zeros_(values)
        # The authors' LSTM begins with a forget gate that is open.
        nn.init.ones_(dict(self.lstm.named_parameters())["bias_ih_l0"][units : 2 * units])

    def represent(self, windows: Tensor) -> Tensor:
        """Shape (rows, units), or twice as wide with attention."""
        states, _ = self.lstm(torch.tanh(self.mapping(windows)))
        last: Tensor = states[:, -1]
        if self.attended is None or self.query is None:
            return last
        weights = torch.softmax(torch.tanh(self.attended(states)) @ self.query, dim=1)
        return torch.cat([last, (weights[:, :, None] * states).sum(1)], dim=1)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """The representation and the score of each row."""
        latent = self.represent(windows)
        return latent, self.score(latent)[:, 0]


def hinge(score: Tensor, sign: Tensor) -> Tensor:
    """Mean hinge loss of scores against signs (1 up, -1 down)."""
    return torch.relu(1.0 - sign * score).mean()


def adversarial(latent: Tensor, loss: Tensor, radius: float) -> Tensor:
    """The representation moved by `radius` where the loss grows fastest (fast gradient method).

    The direction is taken as given, as in the paper: no gradient passes through it.
    """
    (slope,) = torch.autograd.grad(loss, latent, retain_graph=True)
    return latent + radius * nn.functional.normalize(slope, dim=1).detach()


def p_up(
    spec: NetworkSpec, seed: int, train: Samples, validation: Samples, test: Samples
) -> npt.NDArray[np.float64]:
    """P(up) of the test rows by the epoch that was best on the validation rows.

    Same inputs and seed, same numbers: one thread, deterministic kernels. The scores are of a
    hinge loss, so only the side of one half means something, not the distance from it. An
    adversarial network trains its ALSTM first.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    network = AttentiveLSTM(train.windows.shape[2], spec.units, attention=spec.kind != "LSTM")
    parts = [part.last(spec.sessions) for part in (train, validation, test)]
    if spec.kind == "Adv-ALSTM":
        _fit(network, replace(spec, kind="ALSTM"), seed, *parts[:2])
    _fit(network, spec, seed, *parts[:2])
    with torch.inference_mode():
        scores = network(torch.from_numpy(parts[2].windows))[1]
    return np.asarray(torch.sigmoid(scores.double()).numpy(), dtype=np.float64)


def _fit(
    network: AttentiveLSTM, spec: NetworkSpec, seed: int, train: Samples, validation: Samples
) -> None:
    """Train in place; the weights left are those of the first epoch that validated best."""
    windows = torch.from_numpy(train.windows)
    signs = torch.from_numpy(np.where(train.label_up, 1.0, -1.0).astype(np.float32))
    held = torch.from_numpy(validation.windows), torch.from_numpy(validation.label_up)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
    best, kept = -1.0, network.state_dict()
    for _ in range(spec.epochs):
        drawn = torch.randperm(len(signs), generator=order)
        for first in range(0, len(drawn), spec.batch_size):
            batch = drawn[first : first + spec.batch_size]
            _step(network, optimizer, spec, windows[batch], signs[batch])
        with torch.inference_mode():
            right = ((network(held[0])[1] >= 0) == held[1]).double().mean().item()
        if right > best:
            best = right
            kept = {name: values.clone() for name, values in network.state_dict().items()}
    network.load_state_dict(kept)


def _step(
    network: AttentiveLSTM,
    optimizer: torch.optim.Optimizer,
    spec: NetworkSpec,
    windows: Tensor,
    signs: Tensor,
) -> None:
    latent, score = network(windows)
    loss = hinge(score, signs)
    goal = loss + spec.penalty * sum(w.square().sum() for w in network.score.parameters()) / 2
    if spec.kind == "Adv-ALSTM":
        moved = adversarial(latent, loss, spec.radius)
        goal = goal + spec.weight * hinge(network.score(moved)[:, 0], signs)
    optimizer.zero_grad()
    torch.autograd.backward(goal)
    optimizer.step()


def p_up_of_seeds(
    kinds: Iterable[Kind],
    seeds: Iterable[int],
    splits: tuple[Samples, Samples, Samples],
    *,
    workers: int,
    on_done: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict[str, list[npt.NDArray[np.float64]]]:
    """Every network with every seed, `workers` at a time in processes of their own.

    `splits`: train, validation and test. Kind to P(up) of the test rows, one array a seed.
    """
    jobs = [(kind, seed) for kind in kinds for seed in seeds]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {
            pool.submit(p_up, NETWORKS[kind], seed, *splits): (kind, seed) for kind, seed in jobs
        }
        for done, future in enumerate(as_completed(running), start=1):
            future.result()
            kind, seed = running[future]
            on_done(done, len(jobs), f"{kind}, seed {seed}")
    results = {job: future.result() for future, job in running.items()}
    return {kind: [results[kind, seed] for k, seed in jobs if k == kind] for kind, _ in jobs}
