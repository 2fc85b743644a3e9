"""Settings of Trajectory Transformer (`pipeline/methods/trajectory_transformer.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods import Activation
from pipeline.config.methods._planner import HorizonPlannerSettings, HorizonSettings


class PlannerSettings(HorizonSettings):
    """How it plans; nothing that is trained depends on it."""

    horizon: int = Field(
        15, ge=0, description="H: steps of a plan; 0 plays the most probable action, unplanned"
    )
    beams: int = Field(128, ge=1, description="B: partial plans that are kept at each step")
    expand: int = Field(2, ge=1, description="n: actions that are tried after each of them")
    context: int = Field(
        5, ge=1, description="recorded steps that a plan begins with, this one too"
    )
    dropped: float = Field(
        0.6,
        ge=0,
        le=1,
        description="mass of the least probable tokens of an action, which are never tried",
    )


class Settings(HorizonPlannerSettings):
    """What can be varied of Trajectory Transformer."""

    observations: ClassVar[tuple[str, ...]] = ("states",)
    acting: ClassVar[tuple[str, ...]] = ("planner",)
    needs_rewards: ClassVar[bool] = True
    predicts: ClassVar[bool] = True

    context_length: int = Field(10, ge=1, description="K: steps of a window")
    bins: int = Field(100, ge=2, description="N: of each number of a step")
    discount: float = Field(0.99, gt=0, lt=1, description="γ, of values and in plans")
    width: int = Field(128, ge=8)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Activation = "gelu"
    action_weight: float = Field(5.0, gt=0, description="of an action's tokens in the loss")
    target_width: float = Field(
        0.0, ge=0, description="of the normal density over bins that is the target; 0: one bin"
    )
    state_noise: float = Field(
        0.0, ge=0, description="on the states that are read in training, in the data's deviations"
    )
    planner: PlannerSettings = PlannerSettings()

    @property
    def ahead(self) -> int:
        """The state that follows a window: without it, its last step would be followed by ends
        alone.
        """
        return 1
