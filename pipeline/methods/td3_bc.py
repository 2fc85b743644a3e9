"""TD3+BC (Fujimoto and Gu 2021, arXiv 2106.06860): TD3 whose policy is held at the data by cloning.

Two critics learn r + γ min Q⁻(s', a') with a' = π⁻(s') and some noise; at every second update the
policy maximises α Q₁(s, π(s)) / mean |Q₁| − (π(s) − a)², and the target networks follow. After CORL
(Tarasov et al. 2022), `algorithms/offline/td3_bc.py`.
"""

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.td3_bc import Settings
from pipeline.hardware import distributed
from pipeline.methods import Spec
from pipeline.methods._robots import Transitions, ValueLearner
from pipeline.nn.critics import follow
from pipeline.nn.gaussian_policy import StatePolicy
from pipeline.observations.batch import Batch


class TD3BC(ValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.policy = StatePolicy(*self.policy_shape)
        self.critic = self.new_critics()
        self.target_policy = copy.deepcopy(self.policy).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)

    def optimised(self) -> Mapping[str, nn.Module]:
        """Two optimisers."""
        return {"critic": self.critic, "policy": self.policy}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """The critics; now and then the policy, and then the target networks."""
        of = self.transitions(batch)
        yield "critic", self._errors(of).square().mean(dim=1).sum()
        if (step + 1) % self.settings.policy_every:
            return
        played = self.policy.mode(of.states)
        value = self.critic(of.states, played)[0]
        weight = self.settings.value_weight / distributed.mean(value.detach().abs().mean())
        yield "policy", (played - of.actions).square().mean() - weight * value.mean()
        follow(self.target_critic, self.critic, self.settings.target_rate)
        follow(self.target_policy, self.policy, self.settings.target_rate)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, how far Q is from its target, and Q of what was done
        and of what it would do.
        """
        of = self.transitions(batch)
        played = self.critic(of.states, self.policy.mode(of.states))[0]
        means = {
            "td_error": self._errors(of).square().mean(),
            "q": self.unscaled(self.critic(of.states, of.actions).mean()),
            "q_of_policy": self.unscaled(played.mean()),
        }
        return self.would_play(batch), means

    def _errors(self, of: Transitions) -> Tensor:
        """Q_i(s, a) − y, (2, B)."""
        with torch.no_grad():
            calm = self.target_policy.mode(of.next_states)
            # Drawn on the processor, whose generator is what a resumed training goes on with.
            noise = self.settings.policy_noise * torch.randn(calm.shape).to(calm.device)
            noise = noise.clamp(-self.settings.noise_clip, self.settings.noise_clip)
            following = self.target_critic(of.next_states, (calm + noise).clamp(-1, 1))
            target = of.rewards + of.discounts * following.min(dim=0).values
        errors: Tensor = self.critic(of.states, of.actions) - target
        return errors
