"""Settings of Decision Transformer (`pipeline/methods/decision_transformer.py`)."""

from typing import ClassVar

from pipeline.config.methods import TransformerSettings


class Settings(TransformerSettings):
    """What can be varied of Decision Transformer."""

    observations: ClassVar[tuple[str, ...]] = ("pixels", "states")
    uses_returns: ClassVar[bool] = True
