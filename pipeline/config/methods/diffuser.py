"""Settings of planning by diffusion (`pipeline/methods/diffuser.py`)."""

from typing import Annotated, ClassVar, Self

from pydantic import Field

from pipeline.config.methods import ActionKind, MethodSettings
from pipeline.config.section import Section

Channels = Annotated[int, Field(ge=16, multiple_of=8)]


class PlannerSettings(Section):
    """How it plans; nothing that is trained depends on it."""

    plans: int = Field(64, ge=1, description="N: of which the one that is worth most is executed")
    warm_start: int = Field(
        0,
        ge=0,
        description="levels of noise that the last plan, shifted by a step, is given and freed "
        "of again, at most all; 0 begins every plan with noise alone",
    )
    noise: float = Field(1.0, ge=0, description="deviation of all noise in play")
    guide_scale: float = Field(0.1, ge=0, description="of a step along the gradient of the value")
    guide_steps: int = Field(2, ge=0, description="of these at each level; 0: no guide")
    guide_from: int = Field(2, ge=0, description="levels below it have no guide")


class Settings(MethodSettings):
    """What can be varied of planning by diffusion; the defaults are the original's."""

    observations: ClassVar[tuple[str, ...]] = ("states",)
    acting: ClassVar[tuple[str, ...]] = ("planner",)
    optimisers: ClassVar[tuple[str, ...]] = ("plan", "value")
    needs_rewards: ClassVar[bool] = True
    predicts: ClassVar[bool] = True
    actions: ClassVar[ActionKind] = "continuous"

    context_length: ClassVar[int] = 1  # type: ignore[misc]  # no setting: a plan begins at one step
    horizon: int = Field(32, ge=2, description="H: steps of a plan")
    levels: int = Field(20, ge=2, description="T: of noise")
    channels: tuple[Channels, ...] = Field(
        (32, 64, 128, 256), min_length=1, description="of each resolution of the plans' network"
    )
    value_channels: tuple[Channels, ...] = Field(
        (32, 64, 128, 256), min_length=1, description="of each resolution of the value's network"
    )
    blocks: int = Field(2, ge=1, description="residual blocks of each resolution")
    value_every: int = Field(1, ge=1, description="updates of plans to one of the value")
    action_weight: float = Field(10.0, gt=0, description="of the first action in the plans' loss")
    discount: float = Field(0.99, ge=0, lt=1, description="γ of a plan's value")
    return_horizon: int = Field(
        100, ge=1, description="R: steps, from a plan's first, whose rewards are its value"
    )
    end_penalty: float = Field(100.0, description="taken from the reward of an episode's end")
    planner: PlannerSettings = PlannerSettings()

    @property
    def ahead(self) -> int:
        """The rest of a plan, and the rewards of its value."""
        return max(self.horizon, self.return_horizon) - 1

    @property
    def learned_steps(self) -> int:
        """Those of a plan."""
        return self.horizon

    @property
    def planned_steps(self) -> int:
        """H."""
        return self.horizon

    def planning(self, steps: int) -> Self:
        """The same with plans of so many steps, for which it has to be trained anew."""
        return self.model_copy(update={"horizon": steps})
