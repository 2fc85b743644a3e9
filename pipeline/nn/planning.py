"""Parts of planning with an ensemble of models: which member imagines which trajectory, and how
all of them become one plan.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """What the last decision planned."""

    steps: Tensor | None = None
    """(episodes, H, …): its actions, scaled to [-1, 1], or more; None before the first decision."""

    def select(self, rows: Tensor) -> "Plan":
        """Keep only the episodes `rows`, when others have ended."""
        return Plan(None if self.steps is None else self.steps[rows])


def dealt(x: Tensor, members: int) -> Tensor:
    """Trajectory i of each episode to member i mod E: (B, N, …) → (E, B · N / E, …)."""
    batch, _, *rest = x.shape
    return x.reshape(batch, -1, members, *rest).movedim(2, 0).flatten(1, 2)


def collected(x: Tensor, episodes: int) -> Tensor:
    """The way back: (E, B · N / E, …) → (B, N, …)."""
    members, _, *rest = x.shape
    return x.view(members, episodes, -1, *rest).movedim(0, 2).flatten(1, 2)


def weighted_plan(actions: Tensor, returns: Tensor, sharpness: float) -> Tensor:
    """Σ_n e^{κ R_n} A_n / Σ_n e^{κ R_n}: (B, N, H, A) and (B, N) → (B, H, A)."""
    weights = (sharpness * returns).softmax(dim=-1)
    return (weights[..., None, None] * actions).sum(dim=1)
