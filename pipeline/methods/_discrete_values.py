"""What methods share that learn values of discrete actions: a network with several values of each
action, a target network that is copied now and then, and play by the largest mean value.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.config.methods._discrete_values import DiscreteValueSettings
from pipeline.methods import ActingState, Learner, Moment, Spec
from pipeline.nn.game_heads import GameHeads
from pipeline.nn.masking import masked_mean
from pipeline.nn.token_pooling import without_prompts
from pipeline.nn.value_heads import StepFeatures, ValueNetwork, of_action
from pipeline.observations import Observation
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import NStep, n_step


class DiscreteValueLearner(Learner):
    """The learner; a method says only what its loss is.

    It plays the action of the largest mean value. Q is in the rewards' unit, so a softmax of it
    would be no policy: `evaluation.epsilon` is what varies play, and `temperature` does not apply.
    """

    played: ClassVar[str] = "policy"

    settings: DiscreteValueSettings
    allowed: Tensor
    """(games, actions) bool."""

    def __init__(self, settings: DiscreteValueSettings, spec: Spec, values: int) -> None:
        """A network with `values` values of each action."""
        super().__init__(settings, spec)
        self.policy = self.network(spec.choices.size, values)
        self.register_buffer("allowed", spec.allowed, persistent=False)
        self.target = copy.deepcopy(self.policy).requires_grad_(False)

    def network(self, actions: int, values: int) -> ValueNetwork | GameHeads:
        """What is played, and copied as the target: with `features`, and A · N outputs."""
        width, queries = self.settings.width, self.settings.pooling_queries
        features = StepFeatures(self.spec.shape, self.spec.statistics, width, queries)
        return ValueNetwork(features, width, actions, values)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """One loss, and now and then a new target network."""
        told = self.horizon(batch)
        yield "policy", masked_mean(self.error(*self.values(batch, told), batch, told), told.mask)
        if (step + 1) % self.settings.target_every == 0:
            self.target.load_state_dict(self.policy.state_dict())

    @abstractmethod
    def error(self, values: Tensor, after: Tensor, batch: Batch, told: NStep) -> Tensor:
        """The loss of each step of the context, (B, K).

        `values` (B, K, A, N) are the network's at s_t, `after` the target network's at s_{t+h}.
        """

    def horizon(self, batch: Batch) -> NStep:
        """The next rewards, and what follows them."""
        paid = batch.rewards.clamp(-1, 1) if self.settings.clip_rewards else batch.rewards
        return n_step(batch, self.settings.n_step, self.settings.discount, paid)

    def values(self, batch: Batch, told: NStep) -> tuple[Tensor, Tensor]:
        """See `error`."""
        read = self.policy.features.observed
        now = {name: batch.observation[name][:, batch.context] for name in read}
        if "mask" in now:
            now["mask"] = self.visible(now["mask"])
        then = {name: told.after(batch.observation[name]) for name in read}
        with torch.no_grad():
            after = self.of_game(self.target, then, batch.task)
        return self.of_game(self.policy, now, batch.task), after

    def visible(self, mask: Tensor) -> Tensor:
        """The tokens (B, S, tokens) that training shows: not always the prompt, which tells the
        action before, for where that often is the next one it would be copied.
        """
        text, hidden = int(self.spec.statistics["text_tokens"]), self.settings.history_dropout
        return without_prompts(mask, text, hidden, self.training)

    def of_game(self, network: nn.Module, observation: Observation, task: Tensor) -> Tensor:
        """The values (B, S, A, N) of observations of the games `task` (B,)."""
        values: Tensor = network(observation)
        return values

    def q(self, values: Tensor, task: Tensor) -> Tensor:
        """Q (B, S, A) of values (B, S, A, N); −∞ where a game does not have an action."""
        return self.mean(values).masked_fill(~self.allowed[task][:, None], -torch.inf)

    def mean(self, values: Tensor) -> Tensor:
        """(…, N) → (…)."""
        return values.mean(dim=-1)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: Q(s, ·), the loss, the squared error of Q(s, a) to what it learns from,
        and Q(s, a).
        """
        told, actions = self.horizon(batch), batch.actions[:, batch.context]
        values, after = self.values(batch, told)
        q = self.q(values, batch.task)  # (B, K, A)
        best = self.q(after, batch.task).amax(dim=-1)  # (B, K)
        chosen = q.gather(-1, actions[..., None])[..., 0]
        goal = told.rewards + told.discounts * best
        means = {
            "loss": self.error(values, after, batch, told),
            "td_error": (goal - chosen).square(),
            "q": chosen,
        }
        return q, {name: masked_mean(each, told.mask) for name, each in means.items()}

    def act(self, moment: Moment, state: ActingState) -> tuple[Tensor, ActingState]:
        """The action of the largest mean value."""
        values = self.of_game(self.policy, moment.observation, moment.task)
        return self.q(values, moment.task)[:, 0].argmax(dim=-1), state


def quantile_goals(after: Tensor, told: NStep) -> Tensor:
    """R + γ^h θ⁻(s', a*), with a* of the largest mean: (B, K, A, N) → (B, K, N)."""
    best = after.mean(dim=-1).argmax(dim=-1)
    return told.rewards[..., None] + told.discounts[..., None] * of_action(after, best)
