"""Settings of CQL for robots (`pipeline/methods/cql_continuous.py`); the defaults are CORL's."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._robots import BehaviourSettings


class Settings(BehaviourSettings):
    """What can be varied of CQL for robots."""

    optimisers: ClassVar[tuple[str, ...]] = (*BehaviourSettings.optimisers, "entropy")

    critic_steps: int = Field(
        0, ge=0, description="number of updates after them in which the policy stands still"
    )
    conservative_weight: float = Field(
        10.0, ge=0, description="α: weight of the term that lowers Q of actions that were drawn"
    )
    samples: int = Field(
        10, ge=1, description="number of drawn actions of each of three kinds in that term"
    )
    importance_weights: bool = Field(
        True, description="divide e^Q of a drawn action by the density that it was drawn with"
    )
    tune_entropy: bool = Field(
        True,
        description="reward the policy's entropy, with a weight that holds it at -1 for each "
        "component of an action; if not, entropy counts for nothing",
    )
