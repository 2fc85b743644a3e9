"""Settings of BEAR (`pipeline/methods/bear.py`); the defaults are the original's."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config.methods._robots import BehaviourSettings


class Settings(BehaviourSettings):
    """What can be varied of BEAR."""

    optimisers: ClassVar[tuple[str, ...]] = (*BehaviourSettings.optimisers, "multiplier")

    critic_steps: int = Field(40_000, ge=0)
    behaviour_width: int = Field(
        750, ge=8, description="width of the behaviour model's hidden layers"
    )
    kl_weight: float = Field(0.5, ge=0, description="size of the behaviour model's latent variable")
    target_samples: int = Field(
        10, ge=1, description="number of sampled actions of which a target takes the best"
    )
    samples: int = Field(4, ge=2, description="number of actions on either side of the discrepancy")
    kernel: Literal["laplacian", "gaussian"] = "laplacian"
    bandwidth: float = Field(10.0, gt=0, description="σ of the kernel")
    compared: Literal["before_tanh", "actions"] = Field(
        "before_tanh",
        description="quantity whose discrepancy is measured: actions, or their values before the "
        "tanh",
    )
    threshold: float = Field(0.05, gt=0, description="ε: largest allowed discrepancy")
    initial_log_multiplier: float = Field(0.0, ge=-5, le=10, description="log λ at the start")
