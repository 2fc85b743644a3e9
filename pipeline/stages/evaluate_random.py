"""Play uniformly random actions, the reference that learned play has to beat."""

from typing import Annotated

from pipeline.config.schema import DatasetConfig, EnvironmentConfig, EvaluationConfig
from pipeline.data.trajectories import load
from pipeline.evaluation.episodes import write_episodes
from pipeline.evaluation.run import EvaluationProtocol, play_random, write_run
from pipeline.stages import Input, Output, execute


def evaluate_random(
    *,
    environment: EnvironmentConfig,
    dataset: DatasetConfig,
    evaluation: EvaluationConfig,
    seed: int,
    trajectories: Annotated[Input, "trajectories whose scores the run's description quotes"],
    episodes: Annotated[Output, "CSV"],
    run: Annotated[Output, "JSON: the run's description"],
) -> None:
    """Load, play, write."""
    longest = dataset.max_episode_steps
    data = load(trajectories)
    protocol = EvaluationProtocol(evaluation.played(environment), evaluation, data, longest, seed)
    played, described = play_random(protocol)
    write_episodes(episodes, [(0, episode) for episode in played])
    write_run(run, described)


if __name__ == "__main__":
    execute(evaluate_random)
