"""Play a trained policy in closed loop: scores, and the run's description."""

from typing import Annotated

from pipeline.evaluation.episodes import write_episodes
from pipeline.evaluation.run import play_policy, write_run
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._acting import Acting


def evaluate_policy(
    *,
    policy: Input,
    acting: Acting,
    episodes: Annotated[Output, "CSV", Lower("evaluation.episodes")],
    run: Annotated[Output, "JSON: the run's description"],
) -> None:
    """Load, play, write."""
    evaluation, choice = acting.chosen
    played, described = play_policy(acting.protocol(evaluation), acting.load(policy))
    if choice:
        described["sampling"] += f" ({choice})"
    write_episodes(episodes, [(acting.method.training.steps, episode) for episode in played])
    write_run(run, described)


if __name__ == "__main__":
    execute(evaluate_policy)
