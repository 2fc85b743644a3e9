"""Sequence models, one per file: each has a config dataclass, a module that follows
`SequencePolicy`, and `build(config, shape, attributes, actions)`. Files that begin with an
underscore are what models share."""

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from torch import Tensor

from pipeline.config import plugins
from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.observations import Observation
from pipeline.observations.batch import Batch

if TYPE_CHECKING:
    from pipeline.nn.transformer import Transformer


class ActingState(Protocol):
    """What a policy carries from step to step, for a batch of episodes (key/value cache and the
    like).
    """

    def select(self, rows: Tensor) -> Self:
        """Keep only the episodes `rows` (int64 indices), when others have ended."""
        ...


class SequencePolicy(Protocol):
    """A trainable policy over sequences; also a `torch.nn.Module`."""

    observations: ClassVar[tuple[str, ...]]
    """Kinds of observation that it can read, modules of `pipeline/observations/`; the first is what
    it reads if the configuration names none.
    """
    uses_returns: ClassVar[bool]
    """Whether acting needs a target return."""
    context_length: int
    """K: the steps of a training window that carry loss."""
    memory_length: int
    """M: the steps before them, attended to without gradient."""
    transformer: "Transformer"
    """The trunk, whose layers may begin with those of a language model."""

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar training loss over real, non-memory steps, and named detached parts.

        The parts always hold `action_logits` (B, K, actions) or, of continuous actions,
        `action_prediction` (B, K, components), aligned with the last K steps of the batch. Means
        are `masked_mean`s, so that processes can share a batch; new tensors go to the batch's
        device.
        """
        ...

    def start(self, episodes: int) -> ActingState:
        """The state before the first step of `episodes` episodes."""
        ...

    def act(
        self,
        observation: Observation,
        previous_actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        state: ActingState,
    ) -> tuple[Tensor, ActingState]:
        """Logits (B, actions) of a_t, or a_t itself (B, components) within its bounds, and the next
        state; inputs (B, 1, …) or (B, 1), returns scaled as in training.
        """
        ...


def make(
    config: MethodConfig,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    actions: ActionSpace,
) -> SequencePolicy:
    """Build the model that `config.method` names for the observations of a store.

    `shape` and `attributes` are the store's. Raises PipelineError for an unknown method.
    """
    policy: SequencePolicy = plugins.load("methods", config.method).build(
        config, shape, attributes, actions
    )
    return policy
