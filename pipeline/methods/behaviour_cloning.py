"""Behaviour cloning: the Decision Transformer's network without return tokens, so (s_t, a_t) per
step.

On the same inputs and with the same trunk, what it lacks is only the return-to-go.
"""

from typing import Any, ClassVar

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.methods.decision_transformer import DecisionTransformer


class BehaviourCloning(DecisionTransformer):
    """The policy; see the module. Follows `SequencePolicy`."""

    uses_returns: ClassVar[bool] = False


def build(
    config: MethodConfig,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    actions: ActionSpace,
) -> BehaviourCloning:
    """Build for observations of `shape`; see `DecisionTransformer.from_config`."""
    return BehaviourCloning.from_config(config, shape, attributes, actions)
