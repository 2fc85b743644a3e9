"""Trajectories and stored observations → batches of windows, for training and for held-out
accuracy.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.observations import ObservationStore
from pipeline.observations.batch import Batch
from pipeline.observations.window_indices import PADDING, window_steps


@dataclass(frozen=True)
class Windows:
    """Builds the batch of windows that end at given steps."""

    trajectories: Trajectories
    store: ObservationStore
    actions: ActionSpace
    return_scale: float
    """Divides every R̂_t."""
    memory_length: int
    context_length: int
    device: str = "cpu"
    """Where batches go."""

    @cached_property
    def previous_actions(self) -> Actions:
        """(T, …) a_{t-1}."""
        return self.trajectories.previous_actions(self.actions)

    @cached_property
    def returns_to_go(self) -> NDArray[np.float32]:
        """(T,) R̂_t, scaled."""
        scaled: NDArray[np.float32] = (self.trajectories.returns_to_go / self.return_scale).astype(
            np.float32
        )
        return scaled

    def batch(self, ends: NDArray[np.int64]) -> Batch:
        """The windows that end at steps `ends` (B,); padding is zero everywhere and masked."""
        data = self.trajectories
        steps = window_steps(
            ends, data.starts[data.episode[ends]], self.memory_length + self.context_length
        )  # (B, S)
        real = steps != PADDING

        def take(values: NDArray[np.int64] | NDArray[np.float32]) -> torch.Tensor:
            mask = real.reshape(*real.shape, *[1] * (values.ndim - 1))
            return torch.from_numpy(np.where(mask, values[steps], 0).astype(values.dtype))

        batch = Batch(
            observation=self.store.gather(steps),
            actions=take(data.actions),
            previous_actions=take(self.previous_actions),
            returns_to_go=take(self.returns_to_go),
            timesteps=take(data.timesteps),
            attention_mask=torch.from_numpy(real),
            memory_length=self.memory_length,
        )
        return batch.to(self.device)


def default_return_scale(trajectories: Trajectories) -> float:
    """The largest |R̂_t| of the data, so that scaled returns lie in [-1, 1]; 1 if there are no
    rewards.
    """
    return float(np.abs(trajectories.returns_to_go).max()) or 1.0
