"""BEAR (Kumar et al. 2019, arXiv 1906.00949): actor-critic whose policy stays within the support of
the data, by a bound on the maximum mean discrepancy (MMD) between its actions and those of a
behaviour model.

The behaviour model is a variational autoencoder of recorded actions. Critics learn r + γ max over a
few a' ~ π⁻ of (.75 min + .25 max) Q⁻(s', a'). The policy minimises −min Q(s, a) + λ (MMD − ε), and
λ rises while the bound is broken. After Farama's D4RL-Evaluations, `bear/rlkit/torch/sac/bear.py`.
What is played is the policy's mode; what differs else is in docs/baselines.md.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config.methods.bear import Settings
from pipeline.environments.action_space import ActionSpace
from pipeline.methods import Spec
from pipeline.methods._robots import Transitions, ValueLearner
from pipeline.nn.critics import follow
from pipeline.nn.gaussian_policy import StatePolicy, TanhGaussianPolicy
from pipeline.nn.mlp import mlp
from pipeline.nn.mmd import mmd
from pipeline.nn.multiplier import Multiplier
from pipeline.observations.batch import Batch

LATENT = 0.5
"""What a drawn latent variable is clamped to."""
PESSIMISM = 0.75
"""Weight of the smallest critic in a target; the largest has the rest."""
BOUNDS = (-5.0, 10.0)
"""Of log λ."""


class BehaviourModel(StatePolicy):
    """A variational autoencoder of a given s: latent variables, two per component of an action.
    Its mode is the action of the latent variable 0.
    """

    def __init__(
        self,
        size: int,
        statistics: Mapping[str, Any],
        actions: ActionSpace,
        hidden: Sequence[int],
    ) -> None:
        """As a StatePolicy; its `body` is the decoder."""
        super().__init__(size, statistics, actions, hidden)
        self.latent = 2 * actions.size
        self.encoder = mlp([size + actions.size, *hidden, 2 * self.latent])
        self.body = mlp([size + self.latent, *hidden, actions.size])

    def mode(self, states: Tensor) -> Tensor:
        """(…, D) → (…, A)."""
        nothing = states.new_zeros(*states.shape[:-1], self.latent)
        return self.decode(states, nothing).tanh()

    def decode(self, states: Tensor, latent: Tensor) -> Tensor:
        """The action before its tanh: (…, D), (…, 2A) → (…, A)."""
        decoded: Tensor = self.body(torch.cat((states, latent), dim=-1))
        return decoded

    def sample_u(self, states: Tensor, count: int) -> Tensor:
        """`count` actions before their tanh: (B, D) → (count, B, A)."""
        latent = torch.randn(count, len(states), self.latent).to(states.device)
        return self.decode(states.expand(count, -1, -1), latent.clamp(-LATENT, LATENT))

    def loss(self, states: Tensor, actions: Tensor, kl_weight: float) -> Tensor:
        """Mean square of the reconstruction's error + weight · KL(q(z|s, a) ‖ N(0, 1))."""
        mean, log_std = self.encoder(torch.cat((states, actions), dim=-1)).chunk(2, dim=-1)
        log_std = log_std.clamp(-4, 15)
        latent = mean + log_std.exp() * torch.randn(mean.shape).to(mean.device)
        error = (self.decode(states, latent).tanh() - actions).square().mean()
        divergence = 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).mean()
        loss: Tensor = error + kl_weight * divergence
        return loss


class BEAR(ValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        wide = [settings.behaviour_width] * settings.layers
        model = BehaviourModel(self.size, spec.statistics, self.actions, wide)
        if not settings.behaviour_only:
            self.fitted = model
        self.policy: StatePolicy = (
            model if settings.behaviour_only else TanhGaussianPolicy(*self.policy_shape)
        )
        self.critic = self.new_critics()
        self.multiplier = Multiplier(settings.initial_log_multiplier)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.policy_target = copy.deepcopy(self.policy).requires_grad_(False)

    @property
    def behaviour(self) -> BehaviourModel:
        """The behaviour model: beside the policy, or in its place."""
        model = self.policy if self.settings.behaviour_only else self.fitted
        assert isinstance(model, BehaviourModel)
        return model

    def optimised(self) -> Mapping[str, nn.Module]:
        """Four optimisers, one of them of λ."""
        if self.settings.behaviour_only:
            return {"behaviour": self.policy}
        parts = {"behaviour": self.fitted, "critic": self.critic, "policy": self.policy}
        return {**parts, "multiplier": self.multiplier}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """The behaviour model, always; then the critics, the policy, λ and the target networks."""
        settings, of = self.settings, self.transitions(batch)
        yield "behaviour", self.behaviour.loss(of.states, of.actions, settings.kl_weight)
        if settings.behaviour_only or step < settings.behaviour_steps:
            return
        error = self.critic(of.states, of.actions) - self._targets(of)
        yield "critic", error.square().mean(dim=1).sum()
        apart, value = self.discrepancy_and_value(of.states)
        excess = (apart - settings.threshold).mean()
        bounded = self.multiplier().detach()[0] * excess
        sees_q = step >= settings.behaviour_steps + settings.critic_steps
        yield "policy", bounded - value.mean() if sees_q else bounded
        yield "multiplier", -self.multiplier()[0] * excess.detach()
        with torch.no_grad():
            self.multiplier.log.clamp_(*BOUNDS)
        follow(self.target, self.critic, settings.target_rate)
        follow(self.policy_target, self.policy, settings.target_rate)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, the behaviour model's loss and its own error, and, where
        there is more than that, how far Q is from its target, Q of what was done and of what it
        would do, the discrepancy and λ.
        """
        of = self.transitions(batch)
        behaviour = self.behaviour
        means = {
            "behaviour_loss": behaviour.loss(of.states, of.actions, self.settings.kl_weight),
            "behaviour_mse": (behaviour.mode(of.states) - of.actions).square().mean(),
        }
        if not self.settings.behaviour_only:
            q = self.critic(of.states, of.actions)
            apart, value = self.discrepancy_and_value(of.states)
            means |= {
                "td_error": (q - self._targets(of)).square().mean(),
                "q": self.unscaled(q.mean()),
                "q_of_policy": self.unscaled(value.mean()),
                "discrepancy": apart.mean(),
                "multiplier": self.multiplier()[0],
            }
        return self.would_play(batch), means

    @torch.no_grad()
    def _targets(self, of: Transitions) -> Tensor:
        """r + γ max_a' (.75 min + .25 max) Q⁻(s', a'), (B,)."""
        assert isinstance(self.policy_target, TanhGaussianPolicy)
        actions, _ = self.policy_target.sample(of.next_states, self.settings.target_samples)
        values = self.target(of.next_states.expand(len(actions), -1, -1), actions)
        mixed = PESSIMISM * values.amin(dim=0) + (1 - PESSIMISM) * values.amax(dim=0)
        best: Tensor = mixed.amax(dim=0)
        return of.rewards + of.discounts * best

    def discrepancy_and_value(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """MMD between the policy's and the behaviour model's actions, and min Q of one of the
        policy's: (B,) each.
        """
        assert isinstance(self.policy, TanhGaussianPolicy)
        settings = self.settings
        drawn, _ = self.policy.sample_u(states, settings.samples)
        with torch.no_grad():
            likely = self.behaviour.sample_u(states, settings.samples)
        compared = (drawn, likely)
        if settings.compared == "actions":
            compared = (drawn.tanh(), likely.tanh())
        apart = mmd(*compared, settings.kernel, settings.bandwidth)
        value: Tensor = self.critic(states, drawn[0].tanh()).amin(dim=0)
        return apart, value
