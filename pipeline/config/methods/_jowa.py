"""Settings that JOWA has on the feature cache and on pixels: of its values, and of its plans."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config.methods import ActionKind, TransformerSettings
from pipeline.config.methods._planner import BeamSettings, HorizonPlannerSettings


class PlannerSettings(BeamSettings):
    """How it plans; nothing that is trained depends on it."""

    leaf: Literal["value", "max_q"] = Field(
        "value", description="what a plan's last step is worth: V, or the largest Q as in JOWA"
    )
    imagined: Literal["expectation", "mode"] = Field(
        "expectation",
        description="of rewards and ends in a plan; mode, as in JOWA: the most probable reward, "
        "and no ends",
    )


class JowaSettings(HorizonPlannerSettings, TransformerSettings):
    """What can be varied of JOWA, whatever it observes."""

    acting: ClassVar[tuple[str, ...]] = ("planner",)
    needs_rewards: ClassVar[bool] = True
    actions: ClassVar[ActionKind] = "discrete"
    several_tasks: ClassVar[bool] = True
    clip_rewards: ClassVar[bool] = True

    task_embedding: bool = Field(True, description="whether the trunk is told which game it is")
    discount: float = Field(0.97, ge=0, lt=1, description="γ, of the signs of rewards")
    n_step: int = Field(
        4,
        ge=1,
        description="n: rewards that are summed before the target's value is used; "
        "fewer where the window ends",
    )
    lowest_return: float = Field(
        -1.5, lt=0, description="least value, in units of the data's 95 % quantile of returns"
    )
    highest_return: float = Field(2.5, gt=0, description="largest value, in the same unit")
    atoms: int = Field(51, ge=2, description="N: returns that values are distributions over")
    world_loss_weight: float = Field(
        0.3, ge=0, description="w: of the next step, the reward's sign and the end"
    )
    value_loss_weight: float = Field(0.5, ge=0, description="of what Q is regressed on")
    recorded_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of recorded returns in that; the rest are temporal differences",
    )
    unknown_steps: int = Field(
        60, ge=0, description="last steps before a cut, whose recorded return is not learned from"
    )
    conservative_weight: float = Field(3.0, ge=0, description="α: of CQL's term")
    value_temperature: float = Field(
        0.05, gt=0, description="τ: CQL's term is the cross-entropy of softmax(Q / τ)"
    )
    target_decay: float = Field(
        0.98, ge=0, lt=1, description="of the average of Q's head that targets are read from"
    )
    joint: bool = Field(True, description="whether values train the trunk, or their heads only")
    value_loss: Literal["categorical", "squared"] = Field(
        "categorical", description="cross-entropy over the atoms, or the square of the mean's error"
    )
    planner: PlannerSettings = PlannerSettings()
