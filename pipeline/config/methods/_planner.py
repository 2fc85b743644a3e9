"""Settings of methods that plan so many steps ahead as their section `planner` says, which no
training depends on.
"""

from typing import Self

from pydantic import Field

from pipeline.config.methods import MethodSettings
from pipeline.config.section import Section


class HorizonSettings(Section):
    """How far a planner looks."""

    horizon: int = Field(1, ge=0, description="H: number of steps of a plan")


class HorizonPlannerSettings(MethodSettings):
    """Of a method with such a planner."""

    planner: HorizonSettings = HorizonSettings()

    @property
    def planned_steps(self) -> int:
        """H."""
        return self.planner.horizon

    def planning(self, steps: int) -> Self:
        """The same with plans of so many steps."""
        planner = self.planner.model_copy(update={"horizon": steps})
        return self.model_copy(update={"planner": planner})
