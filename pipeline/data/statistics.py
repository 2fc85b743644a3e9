"""Statistics that standardise rewards and changes of state; those of observations are in their
store.
"""

from typing import Any

import numpy as np

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
