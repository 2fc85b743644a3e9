"""Policies of robots: a state vector to an action, or to a density over actions.

Everything here is standardised: states by the data, actions scaled to [-1, 1] by their bounds. Only
`play` takes states as they are observed and gives actions as the robot takes them.

Of the recorded Hopper more than a third of all action components are exactly ±1, where the density
of a tanh-Gaussian has no bound. So a recorded action is clamped where its likelihood is asked for,
to ±RECORDED, and nowhere else.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.environments.action_space import ActionSpace
from pipeline.nn.action_head import ActionBounds
from pipeline.nn.mlp import Standardise, mlp

RECORDED = 0.97
"""What a recorded action is clamped to inside a tanh-Gaussian's likelihood: atanh .97 = 2.1."""
FAR = 3.0
"""Where a mean before its tanh is far enough out: tanh 3 = .995."""
LOG_STD = (-5.0, 2.0)
"""Bounds of a log-deviation that depends on the state."""


class StatePolicy(nn.Module):
    """a = tanh(f(s)): a policy without noise, and what the others have in common."""

    per_component: ClassVar[int] = 1
    """Outputs of the network for each of an action's components."""

    def __init__(
        self,
        size: int,
        statistics: Mapping[str, Any],
        actions: ActionSpace,
        hidden: Sequence[int],
    ) -> None:
        """`size` is that of a state vector, and `hidden` are the layers' widths."""
        super().__init__()
        self.states = Standardise(size, statistics)
        self.bounds = ActionBounds(actions)
        self.body = mlp([size, *hidden, self.per_component * actions.size])

    def mode(self, states: Tensor) -> Tensor:
        """The action that is played: (…, D) → (…, A)."""
        read: Tensor = self.body(states)
        return read.tanh()

    def play(self, observed: Tensor) -> Tensor:
        """States as they are observed (…, D) → actions within the robot's bounds (…, A)."""
        return self.bounds.restored(self.mode(self.states(observed)))


class GaussianPolicy(StatePolicy):
    """N(m(s), σ²) with m = tanh(f(s)) and a deviation that no state changes: learned for each
    component, or fixed.
    """

    log_std: Tensor

    def __init__(self, *shape: Any, std: float | None = None) -> None:
        """As a StatePolicy; `std` fixes the deviation."""
        super().__init__(*shape)
        log_std = torch.full_like(self.bounds.middle, math.log(std or 1))
        if std is None:
            self.log_std = nn.Parameter(log_std)
        else:
            self.register_buffer("log_std", log_std)

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """log π(a|s): (…, D) and (…, A) → (…)."""
        return gaussian_log_prob(actions, self.mode(states), self.log_std)


class TanhGaussianPolicy(StatePolicy):
    """a = tanh(u), u ~ N(m(s), σ(s)²)."""

    per_component: ClassVar[int] = 2

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """m and log σ of u: (…, D) → (…, A) each."""
        read: Tensor = self.body(states)
        mean, log_std = read.chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD)

    def mode(self, states: Tensor) -> Tensor:
        """tanh(m): (…, D) → (…, A)."""
        mean: Tensor = self(states)[0]
        return mean.tanh()

    def sample(self, states: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """`count` actions of each state and their log π, with gradients: (…, D) → (count, …, A),
        (count, …).
        """
        u, log_prob = self.sample_u(states, count)
        return u.tanh(), log_prob

    def sample_u(self, states: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """`sample` before the tanh."""
        mean, log_std = self(states)
        # Drawn on the processor, whose generator is what a resumed training goes on with.
        noise = torch.randn(count, *mean.shape).to(mean.device)
        u = mean + log_std.exp() * noise
        return u, tanh_log_prob(u, mean, log_std)

    def log_prob_u(self, states: Tensor, u: Tensor) -> Tensor:
        """log π(tanh u | s), of actions that were drawn: (…, D) and (…, A) → (…)."""
        return tanh_log_prob(u, *self(states))

    def log_prob(self, states: Tensor, recorded: Tensor) -> Tensor:
        """log π(a|s) of recorded actions, clamped to ±RECORDED: (…, D) and (…, A) → (…)."""
        return self.log_prob_u(states, recorded.clamp(-RECORDED, RECORDED).atanh())

    def cloning_loss(self, states: Tensor, recorded: Tensor) -> Tensor:
        """What fits it to recorded actions: (…, D) and (…, A) → (…).

        The mode by its squared error, and only σ by likelihood. A likelihood of both weighs errors
        by 1/σ² and sees saturated actions at ±RECORDED, so its mode is a poor clone.
        """
        mean, log_std = self(states)
        error = (mean.tanh() - recorded).square().mean(dim=-1)
        bound = math.atanh(RECORDED)
        u, centre = recorded.clamp(-RECORDED, RECORDED).atanh(), mean.detach().clamp(-bound, bound)
        spread = -gaussian_log_prob(u, centre, log_std) / u.shape[-1]
        far = (mean.abs() - FAR).relu().square().mean(dim=-1)
        loss: Tensor = error + 0.01 * spread + 1e-4 * far
        return loss


def gaussian_log_prob(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(x; mean, e^{2 log_std}), summed over components: (…, A) → (…)."""
    scaled = (x - mean) * (-log_std).exp()
    return -(0.5 * scaled.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def tanh_log_prob(u: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log π(tanh u) of u ~ N(mean, e^{2 log_std}), finite for every u: (…, A) → (…).

    log |d tanh u / du| = log (1 − tanh² u) = 2 (log 2 − u − softplus(−2u)).
    """
    slope = 2 * (math.log(2) - u - functional.softplus(-2 * u))
    return gaussian_log_prob(u, mean, log_std) - slope.sum(dim=-1)
