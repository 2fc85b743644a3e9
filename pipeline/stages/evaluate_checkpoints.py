"""Play every checkpoint of a training run before its last, in closed loop: a learning curve."""

from typing import Annotated

from pipeline.evaluation.episodes import write_episodes
from pipeline.evaluation.run import play_policy
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._acting import Acting
from pipeline.training import checkpoint


def evaluate_checkpoints(
    *,
    checkpoints: Input,
    acting: Acting,
    episodes: Annotated[Output, Lower("evaluation.checkpoint_episodes")],
) -> None:
    """Load, play each, write."""
    course = acting.protocol(acting.evaluation.fewer())
    played = []
    for step, path in checkpoint.steps(checkpoints).items():
        results, _ = play_policy(course, acting.load(path))
        played += [(step, episode) for episode in results]
    write_episodes(episodes, played)


if __name__ == "__main__":
    execute(evaluate_checkpoints)
