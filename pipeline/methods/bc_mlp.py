"""Behaviour cloning with a perceptron, which the paper's "BC" of robots is: min (π(s) − a)².

The same network as the policies of the actor-critic methods, so that what they add to cloning can
be seen. After CORL (Tarasov et al. 2022), `algorithms/offline/any_percent_bc.py`.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from pipeline.config.methods.bc_mlp import Settings
from pipeline.methods import Spec
from pipeline.methods._robots import RobotLearner
from pipeline.nn.gaussian_policy import StatePolicy
from pipeline.observations.batch import Batch


class PerceptronCloning(RobotLearner):
    """The policy; see the module."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.policy = StatePolicy(*self.policy_shape)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """One optimiser, one loss."""
        yield "policy", self._error(batch)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """For the curve: what it would do, and its loss."""
        return self.would_play(batch), {"loss": self._error(batch)}

    def _error(self, batch: Batch) -> Tensor:
        states, actions = self.seen(batch)
        return (self.policy.mode(states[:, 0]) - actions).square().mean()
