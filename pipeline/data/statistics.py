"""Statistics that standardise rewards and changes of state, and discounted returns; statistics of
observations are in their store.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.trajectories import Trajectories
from pipeline.io.running_stats import Moments


def statistics(data: Trajectories) -> dict[str, Any]:
    """`reward_mean` and `reward_std` (), and of data with state vectors `change_std` (D,): of
    s' − s within episodes.
    """
    rewards = Moments()
    rewards.add(data.rewards)
    found: dict[str, Any] = {"reward_mean": rewards.mean, "reward_std": rewards.std}
    if data.observations is not None:
        changes, inside = Moments(), np.diff(data.episode) == 0
        changes.add(np.diff(data.observations, axis=0)[inside])
        found["change_std"] = changes.std
    return found


def discounted_returns(
    data: Trajectories, discount: float, paid: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """(T,) Σ_k γ^k r_{t+k}. An episode that was cut is taken to go on with its mean reward; `paid`
    (T,) takes the place of the rewards as they were paid.
    """
    paid = data.rewards if paid is None else paid
    returns = np.empty(len(paid))
    for start, length, ended in zip(data.starts, data.episode_length, data.terminated, strict=True):
        rewards = paid[start : start + length].astype(np.float64)
        following = 0.0 if ended else rewards.mean() / (1 - discount)
        for t in reversed(range(length)):
            following = rewards[t] + discount * following
            returns[start + t] = following
    return returns


def clipped_returns(data: Trajectories) -> NDArray[np.float32]:
    """(T,) Σ_{k≥t} sign(r_k) within the episode: returns of rewards that are clipped, as is usual
    for games.
    """
    signs = np.sign(data.rewards)
    score = np.add.reduceat(signs.astype(np.float64), data.starts)
    return replace(data, rewards=signs, score=score).returns_to_go
