"""What a method is trained on: windows of consecutive steps, as tensors."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from pipeline.observations import Observation


@dataclass(frozen=True)
class Batch:
    """B windows of S = memory_length + context_length consecutive steps of one episode each,
    left-padded.
    """

    observation: Observation
    """Tensors with leading dimensions (B, S)."""
    actions: Tensor
    """(B, S) int64 or (B, S, A) float32: a_t, the action to be predicted at each step."""
    previous_actions: Tensor
    """The same of a_{t-1}; the action that does nothing at t = 0."""
    returns_to_go: Tensor
    """(B, S) float32: R̂_t divided by the return scale."""
    timesteps: Tensor
    """(B, S) int64: t, counted from the episode's start."""
    attention_mask: Tensor
    """(B, S) bool: True where the step is real."""
    memory_length: int
    """The first so many steps are memory: attended to, without gradient, and without loss."""

    def to(self, device: str) -> "Batch":
        """The same windows on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        moved["observation"] = {name: each.to(device) for name, each in self.observation.items()}
        return replace(self, **moved)
