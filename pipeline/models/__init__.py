"""Sequence models, one per file: each has a config dataclass, a module that follows
`SequencePolicy`, and `build(config, shape, attributes, actions)`. Files that begin with an
underscore are what models share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from torch import Tensor

from pipeline import plugins
from pipeline.actions import ActionSpace
from pipeline.config import MethodConfig
from pipeline.observations import Observation

if TYPE_CHECKING:
    from pipeline.models._transformer import Transformer


@dataclass(frozen=True)
class Batch:
    """B windows of S = memory_length + context_length consecutive steps of one episode each,
    left-padded.
    """

    observation: Observation
    """Tensors with leading dimensions (B, S)."""
    actions: Tensor
    """(B, S) int64 or (B, S, A) float32: a_t, the action to be predicted at each step."""
    previous_actions: Tensor
    """The same of a_{t-1}; the action that does nothing at t = 0."""
    returns_to_go: Tensor
    """(B, S) float32: R̂_t divided by the return scale."""
    timesteps: Tensor
    """(B, S) int64: t, counted from the episode's start."""
    attention_mask: Tensor
    """(B, S) bool: True where the step is real."""
    memory_length: int
    """The first so many steps are memory: attended to, without gradient, and without loss."""


class ActingState(Protocol):
    """What a policy carries from step to step, for a batch of episodes (key/value cache and the
    like).
    """

    def select(self, rows: Tensor) -> Self:
        """Keep only the episodes `rows` (int64 indices), when others have ended."""
        ...


class SequencePolicy(Protocol):
    """A trainable policy over sequences; also a `torch.nn.Module`."""

    observation: ClassVar[str]
    """Name of the observation kind, a module of `pipeline/observations/`."""
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

        The parts always hold `action_logits` (B, K, actions), aligned with the last K steps of the
        batch.
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
        """Logits (B, actions) of a_t and the next state; inputs (B, 1, …) or (B, 1), returns scaled
        as in training.
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
    policy: SequencePolicy = plugins.load("models", config.method).build(
        config, shape, attributes, actions
    )
    return policy
