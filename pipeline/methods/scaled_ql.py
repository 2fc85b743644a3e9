"""Scaled-QL (Kumar et al. 2023, arXiv 2211.15144): conservative Q-learning on several games, with
values as distributions over returns, features of length 1, and a head for each game.

What enters: pixels of single steps and rewards. What leaves: the allowed action of
the largest mean value. The encoder is DQN's, not a ResNet (docs/baselines.md).
"""

from torch import Tensor, nn

from pipeline.config.methods.scaled_ql import Settings
from pipeline.methods import Spec
from pipeline.methods._discrete_values import DiscreteValueLearner
from pipeline.methods.cql import gap
from pipeline.nn.categorical_values import Support, cross_entropy
from pipeline.nn.game_heads import GameHeads
from pipeline.nn.value_heads import of_action
from pipeline.observations import Observation
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import NStep


class ScaledQLearning(DiscreteValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec, settings.atoms)

    def network(self, actions: int, values: int) -> GameHeads:
        """A head for each game, on features that they share."""
        low, high = self.settings.lowest_return, self.settings.highest_return
        self.support = Support(low, high, values)
        told = self.spec.per_task or (self.spec.statistics,)
        return GameHeads(self.spec.shape, told, self.settings.width, actions, self.support)

    def of_game(self, network: nn.Module, observation: Observation, task: Tensor) -> Tensor:
        """Logits by the head of each row's game."""
        logits: Tensor = network(observation, task)
        return logits

    def mean(self, values: Tensor) -> Tensor:
        """Of logits."""
        return self.support.mean(values)

    def error(self, values: Tensor, after: Tensor, batch: Batch, told: NStep) -> Tensor:
        """Cross-entropy of Z(s, a) to R + γ^h Z⁻(s', a*), a* of the largest mean, and α · CQL's
        term over the game's actions.
        """
        actions = batch.actions[:, batch.context]
        best = self.q(after, batch.task).argmax(dim=-1)
        returns = told.rewards[..., None] + told.discounts[..., None] * self.support.atoms
        goal = self.support.projected(returns, of_action(after, best).softmax(dim=-1))
        held_down = gap(self.q(values, batch.task), actions)
        regression = cross_entropy(of_action(values, actions), goal)
        return regression + self.settings.conservative_weight * held_down
