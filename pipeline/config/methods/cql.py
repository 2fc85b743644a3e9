"""Settings of CQL (`pipeline/methods/cql.py`)."""

from pydantic import Field

from pipeline.config.methods._discrete_values import DiscreteValueSettings


class Settings(DiscreteValueSettings):
    """What can be varied of CQL."""

    quantiles: int = Field(200, ge=2, description="of the return of each action")
    conservative_weight: float = Field(
        4.0, ge=0, description="α, of the term that holds down actions that were not recorded"
    )
