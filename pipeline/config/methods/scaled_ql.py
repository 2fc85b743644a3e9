"""Settings of Scaled-QL (`pipeline/methods/scaled_ql.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._discrete_values import DiscreteValueSettings


class Settings(DiscreteValueSettings):
    """What can be varied of Scaled-QL."""

    observations: ClassVar[tuple[str, ...]] = ("pixels",)
    several_tasks: ClassVar[bool] = True

    atoms: int = Field(51, ge=2, description="N: returns that values are distributions over")
    lowest_return: float = Field(-20.0, lt=0, description="the least of them")
    highest_return: float = Field(20.0, gt=0, description="the largest of them")
    conservative_weight: float = Field(
        1.0,
        ge=0,
        description="α: weight of the term that lowers the values of actions that were not "
        "recorded",
    )
