"""Trajectories and stored observations → batches of windows, for training and for held-out
accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.methods import MethodSettings
from pipeline.config.schema import Placing
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
    return_scale: float | NDArray[np.float64]
    """Divides every R̂_t; of several tasks (tasks,), of each its own."""
    settings: MethodSettings
    """Of the method, which says how long windows are: memory, context, and steps ahead."""
    device: str = "cpu"
    """Where batches go."""
    task_names: Sequence[str] = ()
    """Of several tasks; none where there is one."""
    task: NDArray[np.int64] | None = None
    """(E,) which of several tasks each episode is of; None where there is one."""

    @cached_property
    def previous_actions(self) -> Actions:
        """(T, …) a_{t-1}."""
        return self.trajectories.previous_actions(self.actions)

    @cached_property
    def returns_to_go(self) -> NDArray[np.float32]:
        """(T,) R̂_t, scaled."""
        scale = self.return_scale
        if not isinstance(scale, float | int):
            scale = scale[self.tasks].astype(np.float32)
        scaled: NDArray[np.float32] = (self.trajectories.returns_to_go / scale).astype(np.float32)
        return scaled

    @cached_property
    def tasks(self) -> NDArray[np.int64]:
        """(T,) which task each step is of."""
        if self.task is None:
            return np.zeros(len(self.trajectories.actions), np.int64)
        return self.task[self.trajectories.episode]

    def by_task(self, steps: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """`steps` (N,) of each task."""
        if self.task is None:
            return [steps]
        return [steps[self.tasks[steps] == task] for task in range(len(self.task_names))]

    @cached_property
    def terminal(self) -> NDArray[np.bool_]:
        """(T,) True where an episode ended by itself; a cut is not an end."""
        terminal = np.zeros(len(self.trajectories.actions), np.bool_)
        terminal[self._last[self.trajectories.terminated]] = True
        return terminal

    @property
    def _last(self) -> NDArray[np.int64]:
        """(E,) each episode's last step."""
        return self.trajectories.starts + self.trajectories.episode_length - 1

    def drawn_from(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `steps` (N,) that windows may end at: to look ahead, a step needs a successor or
        an end, and the last one of an episode that was cut has neither.
        """
        if not self.settings.ahead:
            return steps
        cut = self._last[~self.trajectories.terminated]
        return steps[~np.isin(steps, cut)]

    def placed(self, drawn: NDArray[np.int64], placing: Placing) -> Batch:
        """Windows at the steps `drawn` (B,), which are their context's last or first."""
        if placing == "ends":
            return self.batch(drawn)
        episode = self.trajectories.episode[drawn]  # (B,)
        last = self._last[episode]
        if self.settings.ahead:  # a cut episode's last step cannot end a context
            last = last - ~self.trajectories.terminated[episode]
        whole = drawn + self.settings.context_length - 1
        ends = np.minimum(whole, last)
        if placing == "shifted":
            return self.batch(ends)
        # One that is cut short at the end has no memory, which would take the place of its context.
        return self.batch(ends, drawn - np.where(ends < whole, 0, self.settings.memory))

    def batch(self, ends: NDArray[np.int64], begins: NDArray[np.int64] | None = None) -> Batch:
        """The windows that end at steps `ends` (B,), and begin no earlier than at `begins` (B,);
        padding is zero everywhere and masked.
        """
        data, window = self.trajectories, self.settings
        episode = data.episode[ends]  # (B,)
        length = window.memory + window.context_length
        first, last = data.starts[episode], self._last[episode]
        if begins is not None:
            first = np.maximum(first, begins)
        steps = window_steps(ends, first, length, last, window.ahead)  # (B, S)
        real = steps != PADDING

        def take(values: NDArray[Any]) -> torch.Tensor:
            mask = real.reshape(*real.shape, *[1] * (values.ndim - 1))
            return torch.from_numpy(np.where(mask, values[steps], 0).astype(values.dtype))

        batch = Batch(
            observation=self.store.gather(steps),
            actions=take(data.actions),
            previous_actions=take(self.previous_actions),
            rewards=take(data.rewards),
            previous_rewards=take(data.previous_rewards),
            returns_to_go=take(self.returns_to_go),
            timesteps=take(data.timesteps),
            terminal=take(self.terminal),
            mask=torch.from_numpy(real),
            task=torch.from_numpy(self.tasks[ends]),
            index=torch.from_numpy(ends),
            memory=window.memory,
            ahead=window.ahead,
        )
        return batch.to(self.device)


def default_return_scale(trajectories: Trajectories) -> float:
    """The largest |R̂_t| of the data, so that scaled returns lie in [-1, 1]; 1 if there are no
    rewards.
    """
    return float(np.abs(trajectories.returns_to_go).max()) or 1.0
