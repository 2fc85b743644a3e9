"""The last steps of episodes in play, for methods whose windows are computed anew at every step."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class RecentSteps:
    """Named tensors (episodes, steps, …) of the same last steps; empty before the first."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def select(self, rows: Tensor) -> "RecentSteps":
        """Keep only the episodes `rows`, when others have ended."""
        return RecentSteps({name: x[rows] for name, x in self.tensors.items()})

    def followed_by(self, step: Mapping[str, Tensor], length: int) -> "RecentSteps":
        """With one more step, tensors (episodes, 1, …), and no more than `length` steps."""
        joined = {
            name: torch.cat((self.tensors[name], x), dim=1) if self.tensors else x
            for name, x in step.items()
        }
        return RecentSteps({name: x[:, -length:] for name, x in joined.items()})
