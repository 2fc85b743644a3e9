"""Settings of Upside-Down RL (`pipeline/methods/upside_down.py`)."""

from typing import ClassVar

from pydantic import Field

from pipeline.config.methods import MethodSettings


class Settings(MethodSettings):
    """What can be varied of Upside-Down RL."""

    observations: ClassVar[tuple[str, ...]] = ("states", "pixels")
    uses_returns: ClassVar[bool] = True
    acting: ClassVar[tuple[str, ...]] = ("desired_horizon",)
    needs_rewards: ClassVar[bool] = True

    context_length: ClassVar[int] = 1  # type: ignore[misc]  # no setting: it sees single steps
    width: int = Field(128, ge=8, description="of hidden layers")
    layers: int = Field(3, ge=1, description="hidden layers after state and command have met")
    trailing_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="of the segments that commands are made of, how many go on to their episode's "
        "end; the others end at any later step",
    )
    desired_horizon: int | None = Field(
        None,
        ge=1,
        description="d^h at the start of an episode, in steps; default: the mean length of the "
        "quarter of the recorded episodes with the largest returns",
    )
