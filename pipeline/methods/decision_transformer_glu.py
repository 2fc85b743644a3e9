"""Decision Transformer with a gated output (the "improved" one, docs/method.md): the
transformer's hidden states go through Linear(d, 2d) and a gated linear unit, h ⊙ σ(g), before the
action is read.
"""

from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.decision_transformer_glu import Settings
from pipeline.methods import Spec
from pipeline.methods.decision_transformer import DecisionTransformer


class GatedDecisionTransformer(DecisionTransformer):
    """The policy; see the module."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.gate = nn.Linear(settings.width, 2 * settings.width)

    def head(self, hidden: Tensor) -> Tensor:
        """What hidden states at the tokens s_t say about a_t, through the gate."""
        return super().head(functional.glu(self.gate(hidden), dim=-1))
