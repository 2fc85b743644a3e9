"""Episodes and moments of play that the tests of planning methods share."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from policies import STATE, TORQUES, RandomStore, batch_of, moment_of, trajectories_of
from torch import Tensor

from pipeline.methods import Learner, Moment
from pipeline.observations.windows import Windows

KIND = "decision_transformer on states"
"""Test data with state vectors and torques."""
A = TORQUES.size


def windows_of(learner: Learner, lengths: list[int], cut: list[int] | None = None) -> Windows:
    data = trajectories_of(lengths, space=TORQUES)
    terminated = np.array([i not in (cut or []) for i in range(len(lengths))])
    data = replace(data, terminated=terminated)
    return Windows(data, RandomStore(KIND, sum(lengths)), TORQUES, 10.0, learner.settings)


def moment(episodes: int, seed: int = 3) -> Moment:
    """Episodes at one step, each with noise of its own."""
    torch.manual_seed(seed)
    state, action = torch.randn(episodes, 1, STATE), torch.rand(episodes, 1, A) * 2 - 1
    zeros, seeds = torch.zeros(episodes, 1), range(episodes)

    def noise(*shape: int) -> Tensor:
        own = [torch.Generator().manual_seed(each) for each in seeds]
        return torch.stack([torch.randn(shape, generator=each) for each in own])

    task = torch.zeros(episodes, dtype=torch.int64)
    return Moment({"state": state}, action, zeros, zeros, zeros.long(), task, noise)


def moments(episodes: int, steps: int) -> list[Moment]:
    """Steps of episodes, each with noise of its own at every step."""
    batch = batch_of(KIND, episodes, steps)

    def noise(t: int, *shape: int) -> Tensor:
        own = [torch.Generator().manual_seed(100 * t + each) for each in range(episodes)]
        return torch.stack([torch.randn(shape, generator=each) for each in own])

    return [
        replace(moment_of(batch, t), noise=lambda *shape, t=t: noise(t, *shape))
        for t in range(steps)
    ]


def part(of: Moment, rows: list[int]) -> Moment:
    """Only the episodes `rows`, with the noise that they had."""
    names = ("previous_action", "previous_reward", "return_to_go", "timestep", "task")
    kept: dict[str, Any] = {name: getattr(of, name)[rows] for name in names}
    seen = {name: x[rows] for name, x in of.observation.items()}
    return replace(of, observation=seen, noise=lambda *s: of.noise(*s)[rows], **kept)
