"""Settings shared by methods for robots, which read state vectors with small networks."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods import ActionKind, Game, MethodSettings
from pipeline.errors import PipelineError


class RobotSettings(MethodSettings):
    """Of perceptrons on single states."""

    observations: ClassVar[tuple[str, ...]] = ("states",)
    actions: ClassVar[ActionKind] = "continuous"

    context_length: ClassVar[int] = 1  # type: ignore[misc]  # no setting: they see single states
    width: int = Field(256, ge=8, description="width of hidden layers")
    layers: int = Field(2, ge=1, description="number of hidden layers of each network")

    @property
    def hidden(self) -> list[int]:
        """Widths of a network's hidden layers."""
        return [self.width] * self.layers


class ValueSettings(RobotSettings):
    """Of methods that learn values from rewards, by temporal differences."""

    optimisers: ClassVar[tuple[str, ...]] = ("critic", "policy")
    needs_rewards: ClassVar[bool] = True

    discount: float = Field(0.99, ge=0, lt=1, description="γ")
    n_step: int = Field(
        1,
        ge=1,
        description="n: number of rewards that are summed before the value of the next state is "
        "used",
    )
    reward_scale: float = Field(1.0, gt=0, description="factor for all rewards")
    layer_norm: bool = Field(False, description="normalise the critics' hidden layers")
    target_rate: float = Field(
        0.005, gt=0, le=1, description="τ: share by which target networks move at each update"
    )

    @property
    def ahead(self) -> int:
        """A transition's later steps."""
        return self.n_step


class BehaviourSettings(ValueSettings):
    """Of actor-critic methods that fit a model of the recorded behaviour, and stay near it."""

    optimisers: ClassVar[tuple[str, ...]] = ("behaviour", "critic", "policy")

    behaviour_steps: int = Field(
        0, ge=0, description="number of first updates that train only the behaviour model"
    )
    behaviour_only: bool = Field(False, description="train only the behaviour model, and play it")
    critic_steps: int = Field(
        0, ge=0, description="number of updates after them in which the policy is trained without Q"
    )

    def check(self, game: Game) -> None:
        """Something has to be trained."""
        super().check(game)
        if self.behaviour_only and not self.behaviour_steps:
            raise PipelineError(
                "policy.behaviour_only: with behaviour_steps 0 nothing would be trained; raise "
                "policy.behaviour_steps"
            )
