"""CQL (Kumar et al. 2020, arXiv 2006.04779): values that are held down where nothing was recorded.

What enters: pixels or embeddings of single steps and rewards. What leaves: the action whose
quantiles have the largest mean.
"""

from torch import Tensor
from torch.nn import functional

from pipeline.config.methods.cql import Settings
from pipeline.methods import Spec
from pipeline.methods._discrete_values import DiscreteValueLearner, quantile_goals
from pipeline.nn.value_heads import of_action, quantile_huber
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import NStep


class ConservativeQLearning(DiscreteValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec, settings.quantiles)

    def error(self, values: Tensor, after: Tensor, batch: Batch, told: NStep) -> Tensor:
        """QR-DQN's, and α · (log Σ_a e^{Q(s, a)} − Q(s, a_t)): cross-entropy of softmax Q."""
        actions = batch.actions[:, batch.context]
        regression = quantile_huber(of_action(values, actions), quantile_goals(after, told))
        return regression + self.settings.conservative_weight * gap(values.mean(dim=-1), actions)


def gap(q: Tensor, actions: Tensor) -> Tensor:
    """How much larger the values (B, K, A) are than those of the recorded actions (B, K)."""
    return functional.cross_entropy(q.transpose(1, 2), actions, reduction="none")
