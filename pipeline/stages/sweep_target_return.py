"""Play a trained policy under several target returns: a row per episode."""

from pathlib import Path

import torch

from pipeline import checkpoints, config, runs, target_sweep, trajectories
from pipeline.atomic import replacing
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, play, write."""
    parser = command(__doc__)
    for name in ("method", "features", "environment", "dataset", "sweep"):
        parser.add_argument(f"--{name}", required=True, help=f"{name} section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    for name in ("trajectories", "policy", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("prompts", "encoder"):
        parser.add_argument(f"--{name}", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    method = config.MethodConfig.from_json(arguments.method)
    course = runs.Course(
        config.EnvironmentConfig.from_json(arguments.environment),
        method.evaluation,
        trajectories.load(arguments.trajectories),
        config.DatasetConfig.from_json(arguments.dataset).max_episode_steps,
        arguments.seed,
    )
    policy, described = checkpoints.load(arguments.policy, method)
    features = config.FeaturesConfig.from_json(arguments.features)
    eyes = arguments.encoder, arguments.prompts
    observer = runs.open_observer(policy.observation, features, described, *eyes)
    sweep = config.SweepConfig.from_json(arguments.sweep)
    played = target_sweep.play(course, policy, described, observer, sweep)
    with replacing(arguments.output) as temporary:
        played.to_csv(temporary, index=False)


if __name__ == "__main__":
    execute(main)
