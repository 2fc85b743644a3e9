"""Settings shared by methods that learn values of discrete actions."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods import ActionKind, MethodSettings


class DiscreteValueSettings(MethodSettings):
    """Of a network with several values of each action, of single steps. The defaults are those of
    the originals (docs/baselines.md).
    """

    observations: ClassVar[tuple[str, ...]] = ("pixels", "embeddings")
    needs_rewards: ClassVar[bool] = True
    actions: ClassVar[ActionKind] = "discrete"

    context_length: ClassVar[int] = 1  # type: ignore[misc]  # no setting: they see single steps
    width: int = Field(512, ge=8, description="width of the network that reads a step")
    pooling_queries: int = Field(
        8, ge=1, description="number of learned queries per modality, if embeddings are read"
    )
    history_dropout: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability of hiding the prompt in training, if embeddings are read: it "
        "tells the previous action",
    )
    discount: float = Field(0.99, ge=0, lt=1, description="γ")
    n_step: int = Field(
        1,
        ge=1,
        description="n: number of rewards that are summed before the value of the next state is "
        "used",
    )
    clip_rewards: bool = Field(True, description="clip rewards to [-1, 1], as is usual for games")
    target_every: int = Field(
        2000, ge=1, description="updates between copies of the network to the target network"
    )

    @property
    def ahead(self) -> int:
        """A transition's later steps."""
        return self.n_step
