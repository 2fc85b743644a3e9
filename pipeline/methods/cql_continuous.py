"""CQL of continuous actions (Kumar et al. 2020, arXiv 2006.04779): actor-critic whose Q is held
down at actions that were not recorded.

First a policy is cloned. Then critics learn r + γ min Q⁻(s', a') with a' ~ π, and a term that
lowers the softened maximum of Q over drawn actions and raises Q of the recorded one. The policy
maximises min Q. After CORL (Tarasov et al. 2022), `algorithms/offline/cql.py`, as far as it is
`min_q_version=3` without the Lagrange multiplier; with `importance_weights: false` it is the
original's `min_q_version=2`. What differs else is in docs/baselines.md.
"""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.cql_continuous import Settings
from pipeline.methods import Spec
from pipeline.methods._robots import CloningLearner, Transitions
from pipeline.nn.multiplier import Multiplier
from pipeline.observations.batch import Batch


class ContinuousCQL(CloningLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.entropy = Multiplier(0.0)

    def optimised(self) -> Mapping[str, nn.Module]:
        """A fourth optimiser where the entropy's weight is trained."""
        parts = super().optimised()
        return {**parts, "entropy": self.entropy} if self.settings.tune_entropy else parts

    def improve(self, of: Transitions, sees_q: bool) -> Iterator[tuple[str, Tensor]]:
        """The critics; where the policy sees Q, that and its entropy's weight as well."""
        errors = self._errors(of).square() + self.settings.conservative_weight * self.gap(of)
        yield "critic", errors.mean(dim=1).sum()
        if sees_q:
            drawn, (log_prob,) = self.policy.sample(of.states, 1)
            value = self.critic(of.states, drawn[0]).amin(dim=0)
            yield "policy", (self._entropy_weight * log_prob - value).mean()
            if self.settings.tune_entropy:
                excess = -log_prob.detach().mean() + self.actions.size  # entropy over its goal, −A
                yield "entropy", self.entropy.log[0] * excess

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, how far Q is from its target, Q of what was done and of
        what it would do, the conservative term, the policy's entropy and its weight.
        """
        of = self.transitions(batch)
        drawn, (log_prob,) = self.policy.sample(of.states, 1)
        means = {
            "td_error": self._errors(of).square().mean(),
            "q": self.unscaled(self.critic(of.states, of.actions).mean()),
            "q_of_policy": self.unscaled(self.critic(of.states, drawn[0]).amin(dim=0).mean()),
            "gap": self.gap(of).mean(),
            "entropy": -log_prob.mean(),
            "entropy_weight": self._entropy_weight,
        }
        return self.would_play(batch), means

    def gap(self, of: Transitions) -> Tensor:
        """log mean e^{Q_i} over drawn actions less Q_i of the recorded one, (2, B).

        A third of the drawn actions is uniform, the others are the policy's in s and in s'. With
        importance weights the mean estimates the integral of e^{Q_i} over all actions.
        """
        count, (batch, size) = self.settings.samples, of.actions.shape
        with torch.no_grad():
            uniform = 2 * torch.rand(count, batch, size).to(of.actions.device) - 1
            now, dense_now = self.policy.sample(of.states, count)
            then, dense_then = self.policy.sample(of.next_states, count)
            drawn = torch.cat((uniform, now, then))  # (3 count, B, A)
            flat = dense_now.new_full((count, batch), -size * math.log(2))
            density = torch.cat((flat, dense_now, dense_then))
        values = self.critic(of.states.expand(len(drawn), -1, -1), drawn)  # (2, 3 count, B)
        if self.settings.importance_weights:
            values = values - density
        softened = values.logsumexp(dim=1) - math.log(len(drawn))
        conservative: Tensor = softened - self.critic(of.states, of.actions)
        return conservative

    @property
    def _entropy_weight(self) -> Tensor:
        """() without a gradient."""
        weight = self.entropy()[0].detach()
        return weight if self.settings.tune_entropy else torch.zeros_like(weight)

    def _errors(self, of: Transitions) -> Tensor:
        """Q_i(s, a) − y, (2, B); no entropy is part of y."""
        with torch.no_grad():
            following, _ = self.policy.sample(of.next_states, 1)
            value = self.target(of.next_states, following[0]).amin(dim=0)
            target = of.rewards + of.discounts * value
        errors: Tensor = self.critic(of.states, of.actions) - target
        return errors
