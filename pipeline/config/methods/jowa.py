"""Settings of JOWA on the feature cache (`pipeline/methods/jowa.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._jowa import JowaSettings


class Settings(JowaSettings):
    """What can be varied of JOWA on the feature cache."""

    observations: ClassVar[tuple[str, ...]] = ("embeddings",)
    optimisers: ClassVar[tuple[str, ...]] = ("policy", "value")

    context_length: int = Field(12, ge=2, description="K: number of steps of a window")
    history_dropout: float = Field(
        0.5, ge=0, le=1, description="probability of hiding the prompts of a window in training"
    )
    pooling_queries: int = Field(32, ge=1, description="number of learned queries per modality")
    decoder_loss_weight: float = Field(
        0.3, ge=0, description="of the embeddings, seen and imagined, among these"
    )
