"""Settings of advantage-weighted regression (`pipeline/methods/awr.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._robots import RobotSettings


class Settings(RobotSettings):
    """What can be varied of advantage-weighted regression."""

    needs_rewards: ClassVar[bool] = True
    optimisers: ClassVar[tuple[str, ...]] = ("critic", "policy")

    discount: float = Field(0.99, ge=0, lt=1, description="γ")
    trace: float = Field(0.95, ge=0, le=1, description="λ of the returns")
    horizon: int = Field(20, ge=1, description="H: steps that a return looks ahead")
    temperature: float = Field(
        1.0, gt=0, description="temperature of the weights e^{A / temperature}"
    )
    largest_weight: float = Field(20.0, gt=0)
    std: float = Field(0.4, gt=0, description="σ of the policy, as a share of half an action range")

    @property
    def ahead(self) -> int:
        """A return's steps."""
        return self.horizon
