"""Train one method on one data set with one seed: a checkpoint and its training curve."""

from pathlib import Path

import torch

from pipeline import checkpoints, environments, training, trajectories
from pipeline.atomic import replacing_folder
from pipeline.config import EnvironmentConfig, MethodConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, train, write."""
    parser = command(__doc__)
    parser.add_argument("--method", required=True, help="method section, JSON")
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    for name in ("trajectories", "observations", "output", "checkpoints", "curve"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--language_model", type=Path, help="layers that the policy begins with")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = MethodConfig.from_json(arguments.method)
    game = environments.make(EnvironmentConfig.from_json(arguments.environment))
    data = trajectories.load(arguments.trajectories)
    policy, windows, description = training.prepare(
        config, game, data, arguments.observations, arguments.seed, arguments.language_model
    )
    with replacing_folder(arguments.checkpoints) as folder:

        def keep(step: int) -> None:
            checkpoints.save(folder / checkpoints.name(step), policy, description)

        curve = training.train(policy, windows, config.training, arguments.seed, keep)
    checkpoints.save(arguments.output, policy, description)
    training.write_curve(arguments.curve, curve)


if __name__ == "__main__":
    execute(main)
