"""Play a trained policy under several target returns: a row per episode."""

from typing import Annotated

from pipeline.config.schema import SweepConfig
from pipeline.evaluation.target_return_sweep import play
from pipeline.io.atomic import replacing
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._acting import Acting


def sweep_target_return(
    *,
    policy: Input,
    acting: Acting,
    sweep: Annotated[SweepConfig, Lower("sweep.episodes")],
    episodes: Annotated[Output, "CSV"],
) -> None:
    """Load, play, write."""
    course = acting.protocol(acting.evaluation)
    played = play(course, acting.load(policy), sweep)
    with replacing(episodes) as temporary:
        played.to_csv(temporary, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(sweep_target_return)
