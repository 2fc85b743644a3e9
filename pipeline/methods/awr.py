"""Advantage-weighted regression (Peng et al. 2019, arXiv 1910.00177), offline: a critic V on
TD(λ) returns, and a policy that clones with the weights min(e^{A / temperature}, 20).

After Farama's D4RL-Evaluations, `awr/learning/awr_agent.py`. What differs: a return looks H steps
ahead and then trusts V, where the original goes to the episode's end; V and the policy are updated
together, so returns and advantages are always of the present V, where the original recomputes them
after 200 and 1,000 updates; advantages are standardised over a batch, not over all data; Adam, not
SGD; the mean is within the bounds by a tanh, where the original adds a loss for leaving them.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.awr import Settings
from pipeline.hardware import distributed
from pipeline.methods import Spec
from pipeline.methods._robots import RobotLearner
from pipeline.nn.critics import Critics
from pipeline.nn.gaussian_policy import GaussianPolicy
from pipeline.observations.batch import Batch


class AdvantageWeightedRegression(RobotLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.policy: GaussianPolicy = GaussianPolicy(*self.policy_shape, std=settings.std)
        self.critic = Critics(self.size, settings.hidden, count=1)

    def optimised(self) -> Mapping[str, nn.Module]:
        """Two optimisers."""
        return {"critic": self.critic, "policy": self.policy}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """V on the returns, and the policy on what turned out better than V."""
        states, actions = self.seen(batch)
        returns = self._returns(batch, states)
        value = self.critic(states[:, 0])[0]
        yield "critic", (value - returns).square().mean()
        weight = self._weight(returns - value.detach())
        yield "policy", -(weight * self.policy.log_prob(states[:, 0], actions)).mean()

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, V, its error, and the weights."""
        states, _ = self.seen(batch)
        returns, value = self._returns(batch, states), self.critic(states[:, 0])[0]
        means = {
            "td_error": (value - returns).square().mean(),
            "value": value.mean() / (1 - self.settings.discount),
            "weight": self._weight(returns - value).mean(),
        }
        return self.would_play(batch), means

    @torch.no_grad()
    def _returns(self, batch: Batch, states: Tensor) -> Tensor:
        """G of the first step, times 1 − γ as V is, (B,)."""
        values = self.critic(states)[0]  # (B, 1 + H)
        settings = self.settings
        rewards = (1 - settings.discount) * batch.rewards
        return td_lambda(
            rewards, values, batch.mask, batch.terminal, settings.discount, settings.trace
        )

    def _weight(self, advantage: Tensor) -> Tensor:
        """min(e^{A / temperature}, largest) of standardised advantages, (B,)."""
        mean = distributed.mean(advantage.mean())
        spread = distributed.mean((advantage - mean).square().mean()).sqrt()
        standard = (advantage - mean) / (spread + 1e-5)
        return (standard / self.settings.temperature).exp().clamp(max=self.settings.largest_weight)


def td_lambda(
    rewards: Tensor, values: Tensor, mask: Tensor, terminal: Tensor, discount: float, trace: float
) -> Tensor:
    """TD(λ) returns of windows' first steps: (B, 1 + H) each → (B,).

    G_t = r_t + γ ((1 − λ) V(s_{t+1}) + λ G_{t+1}), which is V(s_t) + Σ_k (γλ)^k δ_{t+k}. At the
    window's end, and at the last state of an episode that was cut, G is V; after an end it is 0.
    """
    ended, now = terminal[:, :-1], values[:, :-1]
    following = discount * torch.where(ended, 0, values[:, 1:])
    # a step without a successor that is no end is where an episode was cut
    followed = mask[:, :-1] & (ended | mask[:, 1:])
    errors = (rewards[:, :-1] + following - now) * followed  # δ, (B, H)
    steps = torch.arange(errors.shape[1], dtype=errors.dtype, device=errors.device)
    return values[:, 0] + errors @ (discount * trace) ** steps
