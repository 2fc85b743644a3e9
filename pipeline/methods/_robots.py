"""What methods for robots share: transitions of standardised states and scaled actions, and play by
their policy's mode.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline.config.methods._robots import BehaviourSettings, RobotSettings, ValueSettings
from pipeline.methods import ActingState, Learner, Moment, Spec
from pipeline.nn.critics import Critics, follow
from pipeline.nn.gaussian_policy import StatePolicy, TanhGaussianPolicy
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import n_step

STATE = "state"
"""The tensor that is read."""


@dataclass(frozen=True)
class Transitions:
    """B transitions, of n steps where the episode lasts that long. All of them are real: windows
    that look ahead are drawn where a step has a successor or is an end.
    """

    states: Tensor
    """(B, D) s_t, standardised by the data."""
    actions: Tensor
    """(B, A) a_t, scaled to [-1, 1]."""
    rewards: Tensor
    """(B,) Σ_{k<h} γ^k r_{t+k}, h ≤ n, scaled."""
    discounts: Tensor
    """(B,) γ^h, and 0 where the episode ended by itself."""
    next_states: Tensor
    """(B, D) s_{t+h}, standardised; of no meaning after an end."""


class RobotLearner(Learner):
    """A method that reads one state vector at a time and plays the mode of its policy."""

    played: ClassVar[str] = "policy"

    settings: RobotSettings
    policy: StatePolicy
    """What is played."""

    def __init__(self, settings: RobotSettings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (self.actions,) = spec.actions
        (self.size,) = spec.shape[STATE]

    @property
    def policy_shape(self) -> tuple[Any, ...]:
        """What a StatePolicy is built of."""
        return self.size, self.spec.statistics, self.actions, self.settings.hidden

    def seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """States of whole windows, standardised, and actions of the context, scaled."""
        states = self.policy.states(batch.observation[STATE])  # (B, S, D)
        return states, self.policy.bounds.scaled(batch.actions[:, 0])  # (B, A)

    def act(self, moment: Moment, state: ActingState) -> tuple[Tensor, ActingState]:
        """The policy's mode; nothing is carried."""
        return self.policy.play(moment.observation[STATE])[:, 0], state

    def would_play(self, batch: Batch) -> Tensor:
        """For `read`: the actions of the context's steps, (B, K, A)."""
        return self.policy.play(batch.observation[STATE][:, batch.context])


class ValueLearner(RobotLearner):
    """One that learns values from transitions."""

    settings: ValueSettings

    def transitions(self, batch: Batch) -> Transitions:
        """The transitions that begin at the windows' context."""
        states, actions = self.seen(batch)
        told = n_step(batch, self.settings.n_step, self.settings.discount)
        return Transitions(
            states=states[:, 0],
            actions=actions,
            rewards=told.rewards[:, 0] * self.settings.reward_scale,
            discounts=told.discounts[:, 0],
            next_states=told.after(states)[:, 0],
        )

    def new_critics(self) -> Critics:
        """New critics Q_i(s, a)."""
        settings = self.settings
        return Critics(self.size + self.actions.size, settings.hidden, 2, settings.layer_norm)

    def unscaled(self, value: Tensor) -> Tensor:
        """Values in the rewards' own unit, for the curve."""
        return value / self.settings.reward_scale


class CloningLearner(ValueLearner):
    """One whose tanh-Gaussian policy begins as a clone of what was recorded, and has critics."""

    settings: BehaviourSettings
    policy: TanhGaussianPolicy

    def __init__(self, settings: BehaviourSettings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.policy = TanhGaussianPolicy(*self.policy_shape)
        self.behaviour = copy.deepcopy(self.policy)
        self.critic = self.new_critics()
        self.target = copy.deepcopy(self.critic).requires_grad_(False)

    def optimised(self) -> Mapping[str, nn.Module]:
        """Three optimisers; the policy's is new when it has been cloned."""
        return {"behaviour": self.behaviour, "critic": self.critic, "policy": self.policy}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """The clone alone; then what `improve` yields, after which the target network follows."""
        of, done = self.transitions(batch), self.settings.behaviour_steps
        if step < done:
            yield from self.clone(of, step)
        elif not self.settings.behaviour_only:
            yield from self.improve(of, sees_q=step >= done + self.settings.critic_steps)
            follow(self.target, self.critic, self.settings.target_rate)

    @abstractmethod
    def improve(self, of: Transitions, sees_q: bool) -> Iterator[tuple[str, Tensor]]:
        """The critics' loss, then the policy's, which `critic_steps` updates make without Q."""

    def clone(self, of: Transitions, step: int) -> Iterator[tuple[str, Tensor]]:
        """The losses of the first `behaviour_steps` updates.

        The policy is the average of the behaviour policy's last weights: the rate is still high
        when this phase ends, and the noise of its steps makes a robot fall.
        """
        yield "behaviour", self.behaviour.cloning_loss(of.states, of.actions).mean()
        follow(self.policy, self.behaviour, self.settings.target_rate)
        if step + 1 == self.settings.behaviour_steps:
            follow(self.behaviour, self.policy, 1.0)
