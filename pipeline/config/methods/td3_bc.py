"""Settings of TD3+BC (`pipeline/methods/td3_bc.py`)."""

from pydantic import Field

from pipeline.config.methods._robots import ValueSettings


class Settings(ValueSettings):
    """What can be varied of TD3+BC."""

    value_weight: float = Field(
        2.5, ge=0, description="α: weight of the normalised Q beside cloning"
    )
    policy_noise: float = Field(0.2, ge=0, description="deviation of the target policy's actions")
    noise_clip: float = Field(0.5, ge=0, description="bound on that noise")
    policy_every: int = Field(2, ge=1, description="critic updates per update of the policy")
