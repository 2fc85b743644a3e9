"""Settings of Elastic Decision Transformer (`pipeline/methods/elastic_dt.py`)."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config.methods import Game, TransformerSettings
from pipeline.errors import PipelineError


class Settings(TransformerSettings):
    """What can be varied of Elastic Decision Transformer."""

    observations: ClassVar[tuple[str, ...]] = ("states", "pixels", "embeddings")
    uses_returns: ClassVar[bool] = True
    several_tasks: ClassVar[bool] = True
    attends: ClassVar[bool] = False  # it plays from windows of several lengths, not from a memory
    acting: ClassVar[tuple[str, ...]] = ("return_inference", "optimality", "start_every")

    pooling_queries: int = Field(
        8, ge=1, description="number of learned queries per modality, if embeddings are read"
    )
    return_bins: int = Field(60, ge=2, description="bins of returns, from the data's least to most")
    expectile: float = Field(
        0.99, gt=0, lt=1, description="τ of the largest return that a history promises"
    )
    expectile_weight: float = Field(0.5, ge=0, description="of that return's loss")
    return_weight: float = Field(0.001, ge=0, description="of the cross-entropy of binned returns")
    state_weight: float = Field(
        1.0, ge=0, description="of the loss on the next state vector; others are not predicted"
    )
    return_inference: Literal["bayes", "expectile"] = Field(
        "bayes",
        description="how an expert's return is inferred. bayes: drawn from P(R) e^{κR}; expectile: "
        "the largest return that the history promises",
    )
    optimality: float = Field(
        10.0, ge=0, description="κ of bayes, for returns from 0, the lowest, to 1, the highest"
    )
    start_every: int = Field(
        2, ge=1, description="steps between the starts of the histories that are compared"
    )

    def check(self, game: Game) -> None:
        """Each game's embeddings would need a scale of their own."""
        super().check(game)
        if game.several and game.embeddings:
            raise PipelineError(
                "policy.observation: elastic_dt reads embeddings of one game only; use pixels here"
            )
