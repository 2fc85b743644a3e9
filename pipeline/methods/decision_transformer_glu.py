"""Decision Transformer with a gated output (the "improved" one, docs/deviations.md): the
transformer's hidden states go through Linear(d, 2d) and a gated linear unit, h ⊙ σ(g), before the
action is read.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.methods.decision_transformer import DecisionTransformer, DecisionTransformerConfig


class GatedDecisionTransformer(DecisionTransformer):
    """The policy; see the module. Follows `SequencePolicy`."""

    def __init__(self, config: DecisionTransformerConfig) -> None:
        super().__init__(config)
        width = config.transformer.width
        self.gate = nn.Linear(width, 2 * width)

    def _read(self, hidden: Tensor) -> Tensor:
        return super()._read(functional.glu(self.gate(hidden), dim=-1))


def build(
    config: MethodConfig,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    actions: ActionSpace,
) -> GatedDecisionTransformer:
    """Build for observations of `shape`; see `DecisionTransformer.from_config`."""
    return GatedDecisionTransformer.from_config(config, shape, attributes, actions)
