"""Settings of BRAC with a value penalty (`pipeline/methods/brac_v.py`)."""

from pydantic import Field

from pipeline.config.methods._robots import BehaviourSettings


class Settings(BehaviourSettings):
    """What can be varied of BRAC-v."""

    behaviour_steps: int = Field(2500, ge=0)
    penalty_weight: float = Field(1.0, ge=0, description="α of the divergence")
    samples: int = Field(
        4,
        ge=1,
        description="number of sampled actions over which divergences and values are averaged",
    )
