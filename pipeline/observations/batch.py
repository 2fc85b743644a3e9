"""What a method is trained on: windows of consecutive steps, as tensors."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from pipeline.observations import Observation


@dataclass(frozen=True)
class Batch:
    """B windows of S = memory + context + ahead consecutive steps of one episode each.

    A window is padded on the left where the episode has not lasted that long, and on the right
    where it ends. A transition is a window of context 1 with 1 step ahead.
    """

    observation: Observation
    """Tensors with leading dimensions (B, S)."""
    actions: Tensor
    """(B, S) int64 or (B, S, A) float32: a_t, the action to be predicted at each step."""
    previous_actions: Tensor
    """The same of a_{t-1}; the action that does nothing at t = 0."""
    rewards: Tensor
    """(B, S) float32: r_t as the environment paid it."""
    previous_rewards: Tensor
    """The same of r_{t-1}; 0 at t = 0."""
    returns_to_go: Tensor
    """(B, S) float32: R̂_t divided by the return scale."""
    timesteps: Tensor
    """(B, S) int64: t, counted from the episode's start."""
    terminal: Tensor
    """(B, S) bool: the episode ended with this step by itself, so nothing is to be expected after
    it. Where it was cut, this is False and the step after it is padding.
    """
    mask: Tensor
    """(B, S) bool: True where the step is real."""
    task: Tensor
    """(B,) int64: which of `Spec.tasks`."""
    index: Tensor
    """(B,) int64: the last step of the window's context in the data; of several data sets counted
    through all of them.
    """
    memory: int = 0
    """The first so many steps are attended to, without gradient and without loss."""
    ahead: int = 0
    """The last so many steps come after those that carry loss."""

    @property
    def context(self) -> slice:
        """The steps that carry loss: (B, K) of (B, S)."""
        return slice(self.memory, self.mask.shape[1] - self.ahead)

    def context_only(self) -> "Batch":
        """The steps that carry loss, alone."""
        part, whole = self.context, ("task", "index")
        kept: dict[str, Any] = {
            name: value[:, part]
            for name, value in vars(self).items()
            if isinstance(value, Tensor) and name not in whole
        }
        kept["observation"] = {name: each[:, part] for name, each in self.observation.items()}
        return replace(self, **kept, memory=0, ahead=0)

    def to(self, device: str) -> "Batch":
        """The same windows on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        moved["observation"] = {name: each.to(device) for name, each in self.observation.items()}
        return replace(self, **moved)
