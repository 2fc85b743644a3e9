"""BRAC-v (Wu, Tucker and Nachum 2019, arXiv 1911.11361): actor-critic whose values and policy pay
for leaving the behaviour policy.

First a behaviour policy b is fitted to the data. Then critics learn
r + γ (min Q⁻(s', a') − α D(s')) and the policy minimises α D(s) − min Q(s, a), where D is the mean
over a few actions a ~ π of log π − log b, an estimate of KL(π ‖ b). After google-research
`brac_primal_agent.py` and Farama's D4RL-Evaluations `train_brac.py`. What differs: b is fitted in
the first updates of the same training, its mode by squared errors, and π starts at b.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from pipeline.config.methods.brac_v import Settings
from pipeline.methods._robots import CloningLearner, Transitions
from pipeline.nn.critics import Critics
from pipeline.observations.batch import Batch


class BRACv(CloningLearner):
    """The learner; see the module."""

    settings: Settings

    def improve(self, of: Transitions, sees_q: bool) -> Iterator[tuple[str, Tensor]]:
        """The critics' errors, then α D less Q; without Q, α D."""
        error = self.critic(of.states, of.actions) - self._targets(of)
        yield "critic", error.square().mean(dim=1).sum()
        divergence, value = self.divergence_and_value(of.states, self.critic)
        penalised = self.settings.penalty_weight * divergence
        yield "policy", (penalised - value if sees_q else penalised).mean()

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, how far Q is from its target, Q of what was done and of
        what it would do, the divergence from b, and b's likelihood of what was done.
        """
        of = self.transitions(batch)
        q = self.critic(of.states, of.actions)
        divergence, value = self.divergence_and_value(of.states, self.critic)
        means = {
            "td_error": (q - self._targets(of)).square().mean(),
            "q": self.unscaled(q.mean()),
            "q_of_policy": self.unscaled(value.mean()),
            "divergence": divergence.mean(),
            "behaviour_nll": -self.behaviour.log_prob(of.states, of.actions).mean(),
        }
        return self.would_play(batch), means

    @torch.no_grad()
    def _targets(self, of: Transitions) -> Tensor:
        """r + γ (min Q⁻(s', ·) − α D(s')), (B,)."""
        divergence, value = self.divergence_and_value(of.next_states, self.target)
        penalised = value - self.settings.penalty_weight * divergence
        return of.rewards + of.discounts * penalised

    def divergence_and_value(self, states: Tensor, critic: Critics) -> tuple[Tensor, Tensor]:
        """Means over actions that the policy draws, of log π − log b and of min Q: (B,) each."""
        u, log_prob = self.policy.sample_u(states, self.settings.samples)
        divergence = log_prob - self.behaviour.log_prob_u(states, u)  # (samples, B)
        value = critic(states.expand(len(u), -1, -1), u.tanh()).min(dim=0).values
        return divergence.mean(dim=0), value.mean(dim=0)
