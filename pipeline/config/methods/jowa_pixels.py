"""Settings of JOWA on pixels (`pipeline/methods/jowa_pixels.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods._jowa import JowaSettings


class Settings(JowaSettings):
    """What can be varied of JOWA on pixels."""

    observations: ClassVar[tuple[str, ...]] = ("pixels",)
    optimisers: ClassVar[tuple[str, ...]] = ("tokenizer", "policy", "value")
    attends: ClassVar[bool] = False  # its tokens are no steps to be drawn
    history_dropout: ClassVar[float] = 0.0  # type: ignore[misc]  # what follows depends on actions

    context_length: int = Field(4, ge=2, description="K: number of steps of a window")
    codebook: int = Field(512, ge=2, description="codes that a token is one of")
    code_width: int = Field(64, ge=1)
    code_decay: float = Field(0.9, ge=0, lt=1, description="of the average that codes follow")
    tokenizer_channels: int = Field(32, ge=1, description="of the tokenizer's convolutions")
    tokenizer_steps: int = Field(
        1000,
        ge=0,
        description="first updates, which train the tokenizer; later ones the world model and "
        "values",
    )
    commitment_weight: float = Field(
        0.25, ge=0, description="of the distance between vectors and their codes"
    )
    foreground_weight: float = Field(
        1.0,
        ge=0,
        description="of the mean error of pixels that differ from the game's mean frame, beside "
        "that of all pixels",
    )
    motion_weight: float = Field(
        1.0, ge=0, description="the same of pixels that differ from the frame before"
    )
