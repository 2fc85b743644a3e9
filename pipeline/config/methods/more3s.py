"""Settings of MORE-3S (`pipeline/methods/more3s.py`)."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.methods import ActionKind, Game, TransformerSettings
from pipeline.config.methods._planner import BeamSettings, HorizonPlannerSettings
from pipeline.config.section import Section
from pipeline.errors import PipelineError

MEMORY_LENGTHS: dict[str, Callable[[int], int]] = {
    "K/2": lambda context: context // 2,
    "K": lambda context: context,
    "2K": lambda context: 2 * context,
}
"""What a memory length may be instead of a number, given the context length K."""


class WorldModelSettings(Section):
    """A model of what follows, trained beside the policy, which is the same with it and without."""

    trained: bool = Field(
        False, description="whether there is one; plans need it, on discrete actions and pictures"
    )
    discount: float = Field(0.97, ge=0, lt=1, description="γ, of the signs of rewards")
    unknown_steps: int = Field(
        60, ge=0, description="last steps before a cut, whose recorded return is not learned from"
    )


class PlannerSettings(BeamSettings):
    """How it plans; nothing that is trained depends on it."""

    horizon: int = Field(
        0,
        ge=0,
        description="H: steps that are imagined; 0 plays without plans, as it does without "
        "world_model.trained",
    )


class Settings(HorizonPlannerSettings, TransformerSettings):
    """What can be varied of MORE-3S."""

    observations: ClassVar[tuple[str, ...]] = ("embeddings", "embeddings_and_states")
    uses_returns: ClassVar[bool] = True
    acting: ClassVar[tuple[str, ...]] = ("planner",)
    actions: ClassVar[ActionKind] = "both"
    optimisers: ClassVar[tuple[str, ...]] = ("policy", "world")

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

    world_model: WorldModelSettings = WorldModelSettings()
    planner: PlannerSettings = PlannerSettings()

    @property
    def memory(self) -> int:
        """M."""
        return self.memory_length

    @property
    def can_predict(self) -> bool:
        """Only with a model of what follows."""
        return self.world_model.trained

    @property
    def planned_steps(self) -> int:
        """H; 0 without a model to plan in."""
        return super().planned_steps if self.world_model.trained else 0

    def planning(self, steps: int) -> Self | None:
        """None where there is no such model."""
        return super().planning(steps) if self.world_model.trained else None

    def check(self, game: Game) -> None:
        """Prompts are chosen among, and plans made, where actions are discrete."""
        super().check(game)
        if game.continuous and self.action_readout == "nearest_prompt":
            raise PipelineError(
                "policy.action_readout: nearest_prompt chooses among the prompts of discrete "
                "actions; use action_head here"
            )
        if self.world_model.trained and (game.continuous or game.states):
            raise PipelineError(
                f"policy.world_model: {game.name} has continuous actions or state vectors, and it "
                "imagines discrete actions and embeddings alone; set trained to false"
            )

    @model_validator(mode="after")
    def _a_prompt_is_learned(self) -> Self:
        learned = self.context_length > 1 and self.embedding_loss_weight > 0
        if self.action_readout == "nearest_prompt" and not learned:
            raise ValueError(
                "action_readout: nearest_prompt learns from the next embedding alone, so it needs "
                "a context_length of 2 or more and an embedding_loss_weight above 0"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _memory_of_context(cls, values: Any) -> Any:
        """`K/2`, `K` and `2K` become numbers, so that one variant file serves every scale."""
        length = values.get("memory_length") if isinstance(values, dict) else None
        if not isinstance(length, str) or length not in MEMORY_LENGTHS:
            return values
        context = values.get("context_length", cls.model_fields["context_length"].default)
        return {**values, "memory_length": MEMORY_LENGTHS[length](int(context))}
