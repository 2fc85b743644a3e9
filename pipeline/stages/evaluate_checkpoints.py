"""Play every checkpoint of a training run before its last, in closed loop: a learning curve."""

from pathlib import Path

import torch

from pipeline import checkpoints, runs, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig, FeaturesConfig, MethodConfig
from pipeline.episodes import write_episodes
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, play each, write."""
    parser = command(__doc__)
    for name in ("method", "features", "environment", "dataset"):
        parser.add_argument(f"--{name}", required=True, help=f"{name} section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    for name in ("trajectories", "checkpoints", "episodes-csv"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("prompts", "encoder"):
        parser.add_argument(f"--{name}", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = MethodConfig.from_json(arguments.method)
    features = FeaturesConfig.from_json(arguments.features)
    course = runs.Course(
        EnvironmentConfig.from_json(arguments.environment),
        config.evaluation.fewer(),
        trajectories.load(arguments.trajectories),
        DatasetConfig.from_json(arguments.dataset).max_episode_steps,
        arguments.seed,
    )
    played = []
    for step, path in checkpoints.steps(arguments.checkpoints).items():
        policy, description = checkpoints.load(path, config)
        observer = runs.open_observer(
            policy.observation, features, description, arguments.encoder, arguments.prompts
        )
        episodes, _ = runs.play_policy(course, policy, description, observer, course.games())
        played += [(step, episode) for episode in episodes]
    write_episodes(arguments.episodes_csv, played)


if __name__ == "__main__":
    execute(main)
