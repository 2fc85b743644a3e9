"""Settings of Gato (`pipeline/methods/gato.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods import Activation, MethodSettings


class Settings(MethodSettings):
    """What can be varied of Gato."""

    observations: ClassVar[tuple[str, ...]] = ("states",)
    acting: ClassVar[tuple[str, ...]] = ("token_temperature",)

    context_length: int = Field(8, ge=2, description="K: steps of a window, beside its prompt")
    prompt_steps: int = Field(
        8, ge=1, description="P: last steps of a recorded episode that come before a window"
    )
    prompt_share: float = Field(
        0.5, ge=0, le=1, description="of the windows that are trained on, how many have a prompt"
    )
    bins: int = Field(1024, ge=2, description="of a state's number, bent into [-1, 1]")
    action_bins: int = Field(1024, ge=2, description="of a component of a continuous action")
    mu: float = Field(100.0, gt=0, description="μ of the law that a state's numbers are bent by")
    largest: float = Field(256.0, gt=0, description="M: the number that the law bends to 1")
    width: int = Field(128, ge=8)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Activation = "gelu"
    token_temperature: float = Field(
        1.0,
        ge=0,
        description="the tokens of continuous actions are drawn; 0: the most probable ones",
    )
