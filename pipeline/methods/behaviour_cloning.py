"""Behaviour cloning: the Decision Transformer's network without return tokens, so (s_t, a_t) per
step.

On the same inputs and with the same trunk, what it lacks is only the return-to-go: its settings say
`uses_returns = False`.
"""

from pipeline.methods.decision_transformer import DecisionTransformer


class BehaviourCloning(DecisionTransformer):
    """The policy; see the module."""
