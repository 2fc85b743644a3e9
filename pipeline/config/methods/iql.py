"""Settings of implicit Q-learning (`pipeline/methods/iql.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._robots import ValueSettings


class Settings(ValueSettings):
    """What can be varied of implicit Q-learning."""

    optimisers: ClassVar[tuple[str, ...]] = ("value", "critic", "policy")

    expectile: float = Field(0.7, gt=0, lt=1, description="τ of V: .5 is the mean, 1 the maximum")
    inverse_temperature: float = Field(3.0, ge=0, description="β of the weights e^{βA}")
    largest_weight: float = Field(100.0, gt=0)
