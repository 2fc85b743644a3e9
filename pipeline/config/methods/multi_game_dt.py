"""Settings of Multi-Game Decision Transformer (`pipeline/methods/multi_game_dt.py`)."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config.methods import ActionKind, Game, TransformerSettings
from pipeline.config.methods._pictures import check_squares


class Settings(TransformerSettings):
    """What can be varied of Multi-Game Decision Transformer."""

    observations: ClassVar[tuple[str, ...]] = ("pixels",)
    several_tasks: ClassVar[bool] = True
    attends: ClassVar[bool] = False  # its tokens are no steps to be drawn
    acting: ClassVar[tuple[str, ...]] = ("return_inference", "optimality", "top_actions")
    needs_rewards: ClassVar[bool] = True
    actions: ClassVar[ActionKind] = "discrete"

    context_length: int = Field(4, ge=1, description="K: number of steps of a window")
    pictures: Literal["squares", "convolutions", "whole"] = Field(
        "squares",
        description="how pictures become tokens. squares: each square of `patch_size` through one "
        "linear map, as published; convolutions: what those of DQN see at 4 by 4 places, each "
        "through a map of its own; whole: all that they see, as one token",
    )
    patch_size: int = Field(
        14, ge=1, description="side in pixels of the squares that frames are cut into; divides 84"
    )
    return_weight: float = Field(
        1.0, ge=0, description="of the cross-entropy of returns, beside that of actions"
    )
    reward_weight: float = Field(
        1.0, ge=0, description="of the cross-entropy of rewards, beside that of actions"
    )
    return_inference: Literal["bayes", "best_of_128"] = Field(
        "bayes",
        description="how an expert's return is drawn. bayes: from P(R) e^{κR}, as the paper says; "
        "best_of_128: the largest of 128 draws of P(R) at a temperature of 1/.75, as its published "
        "notebook does",
    )
    optimality: float = Field(
        10.0, ge=0, description="κ of bayes, for returns from 0, the lowest, to 1, the highest"
    )
    top_actions: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the game's actions among which one is drawn, the most probable ones; "
        ".5 in the published notebook",
    )

    def check(self, game: Game) -> None:
        """Squares have to fill a picture."""
        super().check(game)
        if self.pictures == "squares":
            check_squares(self.patch_size)
