"""Settings of MORE-3S (`pipeline/methods/more3s.py`)."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.config.methods import TransformerSettings

MEMORY_LENGTHS: dict[str, Callable[[int], int]] = {
    "K/2": lambda context: context // 2,
    "K": lambda context: context,
    "2K": lambda context: 2 * context,
}
"""What a memory length may be instead of a number, given the context length K."""


class Settings(TransformerSettings):
    """What can be varied of MORE-3S."""

    observations: ClassVar[tuple[str, ...]] = ("embeddings", "embeddings_and_states")
    uses_returns: ClassVar[bool] = True

    memory_length: int = Field(
        8,
        ge=0,
        description="M: number of earlier steps that are attended to without gradient; a number, "
        "or K/2, K or 2K, where K is the context length",
    )
    token_pooling: Literal["attention", "mean", "mlp"] = "attention"
    pooling_queries: int = Field(
        8, ge=1, description="number of learned queries per modality in attention pooling"
    )
    return_conditioning: Literal["condition", "linear", "token", "none"] = "condition"
    action_readout: Literal["action_head", "nearest_prompt"] = "action_head"
    embedding_loss_weight: float = Field(
        0.1, ge=0, description="λ_o: weight of the loss on the next embedding"
    )
    action_loss_weight: float = Field(
        1.0, ge=0, description="λ_a: weight of the loss on the action"
    )
    region_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of a picture's regions that training hides at each step"
    )

    @property
    def memory(self) -> int:
        """M."""
        return self.memory_length

    @model_validator(mode="before")
    @classmethod
    def _memory_of_context(cls, values: Any) -> Any:
        """`K/2`, `K` and `2K` become numbers, so that one variant file serves every scale."""
        length = values.get("memory_length") if isinstance(values, dict) else None
        if not isinstance(length, str) or length not in MEMORY_LENGTHS:
            return values
        context = values.get("context_length", cls.model_fields["context_length"].default)
        return {**values, "memory_length": MEMORY_LENGTHS[length](int(context))}
