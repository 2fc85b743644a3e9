"""Settings of QR-DQN (`pipeline/methods/qr_dqn.py`)."""

from pydantic import Field

from pipeline.config.methods._discrete_values import DiscreteValueSettings


class Settings(DiscreteValueSettings):
    """What can be varied of QR-DQN."""

    quantiles: int = Field(
        200, ge=2, description="number of quantiles of the return of each action"
    )
