"""Settings of StARformer (`pipeline/methods/starformer.py`)."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config.methods import Game, TransformerSettings
from pipeline.config.methods._pictures import check_squares
from pipeline.errors import PipelineError


class Settings(TransformerSettings):
    """What can be varied of StARformer; `width`, `layers` and `heads` are those of its global
    attention.
    """

    observations: ClassVar[tuple[str, ...]] = ("pixels", "states")
    attends: ClassVar[bool] = False  # its attention is no sequence of equal tokens to be drawn

    patch_size: int = Field(
        12, ge=1, description="side in pixels of the squares that frames are cut into; divides 84"
    )
    local_width: int = Field(
        32, ge=4, description="width of the attention among the tokens of one step"
    )
    local_heads: int = Field(4, ge=1)
    reward_token: Literal["none", "reward", "return"] = Field(
        "none",
        description=("further input of a step beside a_{t-1} and s_t: r_{t-1}, R̂_t, or nothing"),
    )

    def check(self, game: Game) -> None:
        """Squares have to fill a picture, and heads to share the width."""
        super().check(game)
        if not game.states:
            check_squares(self.patch_size)
        if self.local_width % self.local_heads:
            raise PipelineError(
                f"policy.local_heads: {self.local_heads} heads cannot share a local_width of "
                f"{self.local_width}; make the width a multiple"
            )

    @property
    def uses_returns(self) -> bool:  # type: ignore[override]
        """Only the form with returns is told a target return."""
        return self.reward_token == "return"

    @property
    def local(self) -> "Settings":
        """The shape of a step's local attention."""
        return self.model_copy(update={"width": self.local_width, "heads": self.local_heads})
