"""Implicit Q-learning (Kostrikov et al. 2021, arXiv 2110.06169): values of the best actions among
those that were recorded; no other action is ever asked for.

V is the τ-expectile of min Q⁻(s, a) over recorded actions, Q learns r + γ V(s'), and the policy
clones with the weights min(e^{β (Q − V)}, 100). After CORL (Tarasov et al. 2022),
`algorithms/offline/iql.py`, which scales rewards by 1000 / (largest − smallest return).
"""

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.iql import Settings
from pipeline.methods import Spec
from pipeline.methods._robots import Transitions, ValueLearner
from pipeline.nn.critics import Critics, expectile_loss, follow
from pipeline.nn.gaussian_policy import GaussianPolicy
from pipeline.observations.batch import Batch


class ImplicitQLearning(ValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.policy: GaussianPolicy = GaussianPolicy(*self.policy_shape)
        self.value = Critics(self.size, settings.hidden, count=1)
        self.critic = self.new_critics()
        self.target = copy.deepcopy(self.critic).requires_grad_(False)

    def optimised(self) -> Mapping[str, nn.Module]:
        """Three optimisers."""
        return {"value": self.value, "critic": self.critic, "policy": self.policy}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """V, Q on the V before this update, the target network, the policy."""
        of = self.transitions(batch)
        target, advantage = self._targets(of), self._advantage(of)
        yield "value", expectile_loss(advantage, self.settings.expectile).mean()
        error = self.critic(of.states, of.actions) - target
        yield "critic", error.square().mean()
        follow(self.target, self.critic, self.settings.target_rate)
        log_prob = self.policy.log_prob(of.states, of.actions)
        yield "policy", -(self._weight(advantage.detach()) * log_prob).mean()

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, how far Q is from its target, Q, V and the weights."""
        of = self.transitions(batch)
        q = self.critic(of.states, of.actions)
        means = {
            "td_error": (q - self._targets(of)).square().mean(),
            "q": self.unscaled(q.mean()),
            "value": self.unscaled(self.value(of.states).mean()),
            "weight": self._weight(self._advantage(of)).mean(),
        }
        return self.would_play(batch), means

    @torch.no_grad()
    def _targets(self, of: Transitions) -> Tensor:
        """r + γ V(s'), (B,)."""
        following: Tensor = self.value(of.next_states)[0]
        return of.rewards + of.discounts * following

    def _advantage(self, of: Transitions) -> Tensor:
        """min Q⁻(s, a) − V(s), (B,)."""
        with torch.no_grad():
            best = self.target(of.states, of.actions).min(dim=0).values
        advantage: Tensor = best - self.value(of.states)[0]
        return advantage

    def _weight(self, advantage: Tensor) -> Tensor:
        """e^{βA} within its bound, (B,)."""
        exponent = self.settings.inverse_temperature * advantage
        return exponent.exp().clamp(max=self.settings.largest_weight)
