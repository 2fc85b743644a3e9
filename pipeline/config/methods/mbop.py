"""Settings of model-based offline planning (`pipeline/methods/mbop.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._planner import HorizonPlannerSettings, HorizonSettings


class PlannerSettings(HorizonSettings):
    """How it plans; nothing that is trained depends on it."""

    horizon: int = Field(4, ge=0, description="H: steps of a plan; 0 plays the behaviour model")
    trajectories: int = Field(
        60,
        ge=1,
        description="N: number of imagined trajectories for each decision, rounded up to a "
        "multiple of `members`",
    )
    noise: float = Field(
        0.05, ge=0, description="σ of the noise that is added to a proposed action"
    )
    inertia: float = Field(0.0, ge=0, le=1, description="β: share of the last plan in an action")
    sharpness: float = Field(
        1.0, ge=0, description="κ: a trajectory has the weight e^{κ return}; 0: plain mean"
    )


class Settings(HorizonPlannerSettings):
    """What can be varied of model-based offline planning."""

    observations: ClassVar[tuple[str, ...]] = ("states",)
    acting: ClassVar[tuple[str, ...]] = ("planner",)
    optimisers: ClassVar[tuple[str, ...]] = ("model", "behaviour", "returns")
    needs_rewards: ClassVar[bool] = True
    predicts: ClassVar[bool] = True

    context_length: ClassVar[int] = 1  # type: ignore[misc]  # no setting: it sees single steps
    members: int = Field(3, ge=2, description="E: number of members of each of the three ensembles")
    width: int = Field(128, ge=8, description="width of hidden layers")
    layers: int = Field(2, ge=1, description="number of hidden layers of each member")
    previous_noise: float = Field(
        0.0,
        ge=0,
        description="deviation of noise that is added to a_{t-1} in training, lest f_b repeats it; "
        "1 is half the range of an action",
    )
    return_horizon: int = Field(10, ge=1, description="HR: number of rewards that f_R sums up")
    planner: PlannerSettings = PlannerSettings()

    @property
    def ahead(self) -> int:
        """The next state, and the rewards of the return horizon."""
        return max(1, self.return_horizon - 1)

    @property
    def imagined(self) -> int:
        """N, rounded up so that every member imagines as many trajectories as every other."""
        return -(-self.planner.trajectories // self.members) * self.members
