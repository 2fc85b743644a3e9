"""Settings of BRAC with a value penalty (`pipeline/methods/brac_v.py`)."""

from pydantic import Field

from pipeline.config.methods._robots import ValueSettings


class Settings(ValueSettings):
    """What can be varied of BRAC-v."""

    behaviour_steps: int = Field(
        2500, ge=0, description="first updates, which fit the behaviour policy by likelihood"
    )
    behaviour_only: bool = Field(
        False, description="stop there: what is played is the behaviour policy"
    )
    critic_steps: int = Field(
        0, ge=0, description="updates after those in which the policy does not see Q"
    )
    penalty_weight: float = Field(1.0, ge=0, description="α of the divergence")
    samples: int = Field(4, ge=1, description="actions that divergences and values are means of")
