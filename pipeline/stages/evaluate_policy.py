"""Play a trained policy in closed loop: scores, the run's description, and a rollout video."""

from pathlib import Path

import torch

from pipeline import checkpoints, runs, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig, FeaturesConfig, MethodConfig
from pipeline.episodes import write_episodes
from pipeline.rollout_video import VideoRecorder
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, play, write."""
    parser = command(__doc__)
    for name in ("method", "features", "environment", "dataset"):
        parser.add_argument(f"--{name}", required=True, help=f"{name} section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    for name in ("trajectories", "policy", "episodes-csv", "run-json"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("prompts", "encoder", "video"):
        parser.add_argument(f"--{name}", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = MethodConfig.from_json(arguments.method)
    course = runs.Course(
        EnvironmentConfig.from_json(arguments.environment),
        config.evaluation,
        trajectories.load(arguments.trajectories),
        DatasetConfig.from_json(arguments.dataset).max_episode_steps,
        arguments.seed,
    )
    policy, description = checkpoints.load(arguments.policy, config)
    features = FeaturesConfig.from_json(arguments.features)
    observer = runs.open_observer(
        policy.observation, features, description, arguments.encoder, arguments.prompts
    )
    games = course.games()
    video = VideoRecorder(config.evaluation.video_steps, observer, games[0].action_meanings)
    episodes, run = runs.play_policy(course, policy, description, observer, games, video)
    write_episodes(arguments.episodes_csv, [(config.training.steps, one) for one in episodes])
    runs.write_run(arguments.run_json, run)
    if arguments.video is not None:
        video.write(arguments.video)


if __name__ == "__main__":
    execute(main)
