"""QR-DQN (Dabney et al. 2018, arXiv 1710.10044), offline as in Agarwal et al. 2020 (arXiv
1907.04543): quantiles of the return of each action, learned by quantile regression.

What enters: pixels or embeddings of single steps and rewards. What leaves: the action whose
quantiles have the largest mean.
"""

from torch import Tensor

from pipeline.config.methods.qr_dqn import Settings
from pipeline.methods import Spec
from pipeline.methods._discrete_values import DiscreteValueLearner, quantile_goals
from pipeline.nn.value_heads import of_action, quantile_huber
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import NStep


class QuantileRegression(DiscreteValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec, settings.quantiles)

    def error(self, values: Tensor, after: Tensor, batch: Batch, told: NStep) -> Tensor:
        """Σ_i mean_j |τ_i − 1{δ_ij < 0}| Huber(δ_ij), δ_ij = y_j − θ_i(s, a)."""
        taken = of_action(values, batch.actions[:, batch.context])  # (B, K, N)
        return quantile_huber(taken, quantile_goals(after, told))
