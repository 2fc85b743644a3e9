"""How far ahead a model is right: states that it predicts for recorded actions, from held-out
starts, against those that were recorded.

An error is the root of the mean square over a state's numbers, each in deviations of the data. A
one-step perceptron with as many parameters stands beside the model: all that it carries from step
to step is the state, and it is trained here, on the episodes that the policy was trained on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.table import OpenLoopConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.evaluation.open_loop_columns import COLUMNS
from pipeline.methods import Learner, Predictor
from pipeline.nn.mlp import SPREAD, mlp


@dataclass(frozen=True)
class Courses:
    """Recorded courses of H steps, some of them cut short by the end of an episode."""

    first: Tensor
    """(B, D)."""
    actions: Tensor
    """(B, H, A); zeros beyond a course's end."""
    states: Tensor
    """(B, H, D): what followed each action."""
    known: Tensor
    """(B, H) bool."""


def courses(data: Trajectories, held_out: NDArray[np.bool_], config: OpenLoopConfig) -> Courses:
    """Courses that begin evenly spread over the steps of held-out episodes (E,) that have a
    successor; PipelineError without any, or without states.
    """
    if data.observations is None or not held_out.any():
        missing = "state vectors" if data.observations is None else "held-out episodes"
        raise PipelineError(
            f"{data.source}: no {missing} to predict; choose other data, or raise "
            "training.held_out_fraction"
        )
    last = (data.starts + data.episode_length - 1)[data.episode]  # (T,)
    begun = np.flatnonzero(held_out[data.episode] & (np.arange(len(last)) < last))
    places = np.linspace(0, len(begun) - 1, min(config.starts, len(begun))).astype(np.int64)
    steps = begun[places][:, None] + np.arange(config.steps)  # (B, H)
    known = steps < last[steps[:, :1]]
    kept = np.where(known, steps, 0)
    seen, taken = torch.from_numpy(data.observations), torch.from_numpy(data.actions)
    real = torch.from_numpy(known)
    return Courses(
        seen[steps[:, 0]], taken[kept] * real[..., None], seen[kept + 1] * real[..., None], real
    )


@dataclass(frozen=True)
class Markov:
    """A one-step model, s' − s of (s, a), all of them standardised by the data."""

    net: torch.nn.Module
    mean: Tensor
    """Of (s, a), (D + A,); so the next."""
    std: Tensor
    change: Tensor
    """(D,) deviation of s' − s."""

    def predict(self, first: Tensor, actions: Tensor) -> Tensor:
        """Step by step; see `Predictor`."""
        states = [first]
        for t in range(actions.shape[1]):
            told = (torch.cat((states[-1], actions[:, t]), dim=-1) - self.mean) / self.std
            states.append(states[-1] + self.change * self.net(told))
        return torch.stack(states[1:], dim=1)


def markov(
    data: Trajectories,
    trained: NDArray[np.bool_],
    parameters: int,
    config: OpenLoopConfig,
    seed: int,
) -> tuple[Markov, int]:
    """A one-step model of nearly so many `parameters`, trained on the episodes `trained` (E,), and
    how many it has. The same seed gives the same one.
    """
    assert data.observations is not None
    inside = trained[data.episode[:-1]] & (np.diff(data.episode) == 0)
    rows = torch.from_numpy(np.flatnonzero(inside))
    seen, taken = torch.from_numpy(data.observations), torch.from_numpy(data.actions)
    told, change = torch.cat((seen, taken), dim=-1), seen[rows + 1] - seen[rows]
    mean, std = told[rows].mean(dim=0), told[rows].std(dim=0) + SPREAD
    spread = change.std(dim=0) + 1e-6
    x, y = (told[rows] - mean) / std, change / spread
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = _sizes(x.shape[1], y.shape[1], parameters)
        net = mlp(sizes)
        optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.updates)
        for _ in range(config.updates):
            drawn = torch.randint(len(x), (config.batch_size,))
            loss = (net(x[drawn]) - y[drawn]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    count = sum(each.numel() for each in net.parameters())
    return Markov(net.eval(), mean, std, spread), count


def _sizes(inputs: int, outputs: int, parameters: int) -> list[int]:
    """Two hidden layers of the width that gives nearly so many parameters."""
    # w² + w (inputs + outputs + 2) + outputs = parameters
    half = (inputs + outputs + 2) / 2
    width = max(8, round((half**2 + max(0, parameters - outputs)) ** 0.5 - half))
    return [inputs, width, width, outputs]


def errors(predicted: Tensor, of: Courses, spread: Tensor) -> Tensor:
    """(B, H) in deviations; NaN where nothing was recorded, infinite where NaN is predicted."""
    error = ((predicted - of.states) / spread).square().mean(dim=-1).sqrt()
    return finite_or_infinite(error).masked_fill(~of.known, torch.nan)


def finite_or_infinite(error: Tensor) -> Tensor:
    """`error` (…) with infinity for NaN: of predictions that diverged, which count as wrong."""
    return error.masked_fill(error.isnan(), torch.inf)


def measure(
    learner: Learner,
    parameters: int,
    data: Trajectories,
    held_out: NDArray[np.bool_],
    config: OpenLoopConfig,
    seed: int,
) -> pd.DataFrame:
    """Columns COLUMNS: errors by steps ahead of `learner`, of a Markov model with as many
    `parameters`, and of the mean state; `held_out` (E,) were not trained on.

    Raises PipelineError for a learner that is no `Predictor`.
    """
    if not isinstance(learner, Predictor):
        raise PipelineError(
            f"{type(learner).__name__} has no model of states: no predict; choose another method"
        )
    of = courses(data, held_out, config)
    seen = torch.from_numpy(np.asarray(data.observations))
    spread = seen.std(dim=0) + SPREAD
    beside, count = markov(data, ~held_out, parameters, config, seed)
    with torch.no_grad():
        found: dict[tuple[str, int], Tensor] = {
            ("own", parameters): learner.predict(of.first, of.actions),
            ("markov", count): beside.predict(of.first, of.actions),
            ("mean", 0): seen.mean(dim=0).expand_as(of.states),
        }
    rows = [row for key, each in found.items() for row in rows_of(*key, errors(each, of, spread))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def rows_of(model: str, parameters: int, error: Tensor) -> list[tuple[Any, ...]]:
    """Of a model (B, H), as far as any start goes."""
    rows = []
    for step, column in enumerate(error.numpy().T, start=1):
        known = column[~np.isnan(column)]
        if len(known):
            with np.errstate(invalid="ignore"):  # between two infinite errors
                quartiles = np.quantile(known, (0.25, 0.5, 0.75))
            quartiles = np.where(np.isnan(quartiles), np.inf, quartiles)
            rows.append((model, parameters, step, len(known), known.mean(), *quartiles))
    return rows
