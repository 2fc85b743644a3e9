"""Settings of methods that plan so many steps ahead as their section `planner` says, which no
training depends on.
"""

from typing import ClassVar, Self

from pydantic import Field

from pipeline.config.methods import ActionKind, MethodSettings
from pipeline.config.section import Section


class HorizonSettings(Section):
    """How far a planner looks."""

    horizon: int = Field(1, ge=0, description="H: number of steps of a plan")


class BeamSettings(HorizonSettings):
    """Of a beam search among discrete actions in an imagined world."""

    horizon: int = Field(0, ge=0, description="H: steps that are imagined; 0 plays without plans")
    beams: int = Field(
        2, ge=1, description="K: plans that are kept, and actions tried after each of them"
    )
    prior_weight: float = Field(
        1.0,
        ge=0,
        description="η: of Σ log π in a plan's worth; plans follow errors of the model where it is "
        "small: with 0.1 they lost to none",
    )
    temperature: float = Field(
        0.25,
        ge=0,
        description="of the noise that first actions are drawn by: without any difference in "
        "worth they are those of softmax(logits / temperature)",
    )


class HorizonPlannerSettings(MethodSettings):
    """Of a method with such a planner: one of robots, where it says nothing else."""

    actions: ClassVar[ActionKind] = "continuous"

    planner: HorizonSettings = HorizonSettings()

    @property
    def planned_steps(self) -> int:
        """H."""
        return self.planner.horizon

    def planning(self, steps: int) -> Self | None:
        """The same with plans of so many steps."""
        planner = self.planner.model_copy(update={"horizon": steps})
        return self.model_copy(update={"planner": planner})
