"""Settings of CQL (`pipeline/methods/cql.py`)."""

from pydantic import Field

from pipeline.config.methods._discrete_values import DiscreteValueSettings


class Settings(DiscreteValueSettings):
    """What can be varied of CQL."""

    quantiles: int = Field(
        200, ge=2, description="number of quantiles of the return of each action"
    )
    conservative_weight: float = Field(
        4.0,
        ge=0,
        description="α: weight of the term that lowers the values of actions that were not "
        "recorded",
    )
