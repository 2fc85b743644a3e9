"""The options by which a stage is told what a policy is trained on: one game or robot, or several
games.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pipeline.config.schema import EnvironmentConfig
from pipeline.stages import Inputs
from pipeline.training import preparation
from pipeline.training.preparation import Recording


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A part of the signature of such a stage."""

    environment: Annotated[Sequence[EnvironmentConfig], "one for each of --trajectories"]
    task: Annotated[
        Sequence[str], "for a policy of several games: a name for each of --trajectories"
    ] = ()
    observations: Annotated[Inputs, "embeddings, pixels or states, for each of --trajectories"]
    trajectories: Annotated[Inputs, "of one game or robot, or of several games"]

    def load(self) -> list[Recording]:
        """What was recorded of each; PipelineError where there is not one of each."""
        return preparation.recordings(self.environment, self.trajectories, self.observations)
