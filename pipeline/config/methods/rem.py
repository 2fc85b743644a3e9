"""Settings of REM (`pipeline/methods/rem.py`)."""

from pydantic import Field

from pipeline.config.methods._discrete_values import DiscreteValueSettings


class Settings(DiscreteValueSettings):
    """What can be varied of REM."""

    value_heads: int = Field(
        200, ge=2, description="number of values of each action that are mixed"
    )
