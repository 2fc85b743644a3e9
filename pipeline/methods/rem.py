"""REM, the random ensemble mixture (Agarwal et al. 2020, arXiv 1907.04543): several values of each
action, of which every update learns another convex combination.

What enters: pixels or embeddings of single steps and rewards. What leaves: the action of the
largest mean value.
"""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.config.methods.rem import Settings
from pipeline.hardware import distributed
from pipeline.methods import Spec
from pipeline.methods._discrete_values import DiscreteValueLearner
from pipeline.nn.value_heads import of_action
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import NStep


class RandomEnsembleMixture(DiscreteValueLearner):
    """The learner; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec, settings.value_heads)

    def error(self, values: Tensor, after: Tensor, batch: Batch, told: NStep) -> Tensor:
        """Huber(R + γ^h max_a Q⁻_α(s', a) − Q_α(s, a)), both of the same mixture."""
        mixture = self.mixture().to(values.device)
        with torch.autocast(values.device.type, enabled=False):  # errors are small beside values
            taken = of_action(values, batch.actions[:, batch.context]) @ mixture  # (B, K)
            goal = told.rewards + told.discounts * (after @ mixture).amax(dim=-1)
        return functional.huber_loss(taken, goal, reduction="none")

    def mixture(self) -> Tensor:
        """α (heads,): uniform numbers divided by their sum, as the original draws them, in all
        processes the same; the plain mean where nothing is learned.
        """
        count = self.settings.value_heads
        if not self.training:
            return torch.full((count,), 1 / count)
        drawn = distributed.of_first(torch.rand(count))
        return drawn / drawn.sum()
