"""Settings of planning in a latent action space (`pipeline/methods/tap.py`)."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from pipeline.config.methods import ActionKind, Activation, MethodSettings
from pipeline.config.section import Section


class PlannerSettings(Section):
    """How it plans; nothing that is trained depends on it."""

    codes: int = Field(5, ge=1, description="M: of a plan, at most those of a window")
    beams: int = Field(64, ge=1, description="B: partial plans that go on")
    expand: int = Field(
        4, ge=1, description="n: codes tried after each beam; 1 with 1 beam plays the prior"
    )
    threshold: float = Field(0.05, gt=0, le=1, description="β: a code less probable has to pay")
    support_weight: float = Field(500.0, ge=0, description="of log p where that is below log β")
    temperature: float = Field(
        1.0, ge=0, description="codes are drawn from the prior; 0: the most probable ones"
    )


class Settings(MethodSettings):
    """What can be varied of planning in a latent action space; the defaults are the original's."""

    observations: ClassVar[tuple[str, ...]] = ("states",)
    acting: ClassVar[tuple[str, ...]] = ("planner",)
    optimisers: ClassVar[tuple[str, ...]] = ("autoencoder", "prior")
    needs_rewards: ClassVar[bool] = True
    predicts: ClassVar[bool] = True
    actions: ClassVar[ActionKind] = "continuous"

    context_length: ClassVar[int] = 1  # type: ignore[misc]  # no setting: a plan begins at one step
    window_codes: int = Field(8, ge=1, description="codes that a window is read as")
    code_steps: int = Field(3, ge=1, description="L: steps that a code stands for")
    codebook: int = Field(512, ge=2, description="K: codes")
    code_width: int = Field(512, ge=1)
    code_decay: float = Field(0.99, ge=0, lt=1, description="of the average that codes follow")
    width: int = Field(512, ge=8)
    layers: int = Field(4, ge=1, description="of encoder, decoder and prior")
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Activation = "gelu"
    action_weight: float = Field(5.0, gt=0, description="of actions in the autoencoder's loss")
    commitment_weight: float = Field(1.0, ge=0)
    autoencoder_steps: int = Field(
        1000,
        ge=0,
        description="first updates, which train the autoencoder; later ones the prior",
    )
    discount: float = Field(0.99, gt=0, lt=1, description="γ")
    return_horizon: int = Field(100, ge=1, description="R: rewards after a step that are its value")
    planner: PlannerSettings = PlannerSettings()

    @model_validator(mode="after")
    def _a_window_has_a_state_that_follows(self) -> Self:
        if self.window < 2:
            raise ValueError("window_codes × code_steps is 1: a window needs 2 steps or more")
        return self

    @property
    def window(self) -> int:
        """W: steps of a window."""
        return self.window_codes * self.code_steps

    @property
    def ahead(self) -> int:
        """The rest of a window, and the rewards of its last step's value."""
        return self.window + self.return_horizon - 1

    @property
    def learned_steps(self) -> int:
        """W."""
        return self.window

    @property
    def planned_steps(self) -> int:
        """H."""
        return min(self.planner.codes, self.window_codes) * self.code_steps

    def planning(self, steps: int) -> Self:
        """The same with plans of at least so many steps; where its windows are shorter, it has to
        be trained anew.
        """
        codes = -(-steps // self.code_steps)
        planner = self.planner.model_copy(update={"codes": codes})
        update = {"planner": planner, "window_codes": max(codes, self.window_codes)}
        return self.model_copy(update=update)
