"""A chain of five states whose values are known, to try what learns values on."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.methods import Spec
from pipeline.observations import Observation

STATES, DISCOUNT = 5, 0.9
SPACE = ActionSpace(("LEFT", "RIGHT"))
SPEC = Spec(("Chain",), (SPACE,), {"state": (STATES,)}, {})


class ChainStore:
    """One-hot states."""

    shape: ClassVar[dict[str, tuple[int, ...]]] = {"state": (STATES,)}
    attributes: ClassVar[dict[str, Any]] = {}

    def __init__(self, states: NDArray[np.int64]) -> None:
        self.states, self.steps = states, len(states)

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        real = torch.from_numpy(steps >= 0)
        one_hot = nn.functional.one_hot(torch.from_numpy(self.states[steps]), STATES).float()
        return {"state": one_hot * real[..., None]}


def chain(
    episodes: int = 200, limit: int = 8, only_right: bool = False
) -> tuple[Trajectories, ChainStore]:
    """Random walks from anywhere, or walks to the right: reaching the right end pays 1 and the left
    end pays 0.2; both end the episode, and a walk that reaches none is cut.
    """
    generator = np.random.default_rng(0)
    states, actions, rewards, lengths, terminated = [], [], [], [], []
    for _ in range(episodes):
        state, done, length = int(generator.integers(STATES)), False, 0
        while not done and length < limit:
            action = 1 if only_right else int(generator.integers(2))
            states.append(state)
            actions.append(action)
            state += 1 if action else -1
            done = state in (-1, STATES)
            rewards.append(1.0 if state == STATES else 0.2 if state == -1 else 0.0)
            length += 1
        lengths.append(length)
        terminated.append(done)
    starts = np.cumsum(lengths) - lengths
    data = Trajectories(
        actions=np.array(actions),
        rewards=np.array(rewards, np.float32),
        episode_length=np.array(lengths),
        terminated=np.array(terminated),
        score=np.add.reduceat(np.array(rewards), starts),
        source="a chain of five states",
    )
    return data, ChainStore(np.array(states))


def true_values() -> NDArray[np.float64]:
    """Q* (states, actions) by value iteration."""
    values = np.zeros((STATES, 2))
    for _ in range(200):
        best = values.max(axis=1)
        for state in range(STATES):
            values[state, 0] = 0.2 if state == 0 else DISCOUNT * best[state - 1]
            values[state, 1] = 1.0 if state == STATES - 1 else DISCOUNT * best[state + 1]
    return values
