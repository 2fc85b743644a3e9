"""Settings of behaviour cloning (`pipeline/methods/behaviour_cloning.py`)."""

from typing import ClassVar

from pipeline.config.methods.decision_transformer import Settings as DecisionTransformerSettings


class Settings(DecisionTransformerSettings):
    """What can be varied of behaviour cloning."""

    uses_returns: ClassVar[bool] = False
