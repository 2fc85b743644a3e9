"""Draw how a trained policy's attention spreads over the steps before, on held-out windows."""

from pathlib import Path

import torch

from pipeline import attention, checkpoints, environments, training, trajectories
from pipeline.atomic import replacing
from pipeline.config import EnvironmentConfig, MethodConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, measure, draw."""
    parser = command(__doc__)
    parser.add_argument("--method", required=True, help="method section, JSON")
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--title", required=True)
    for name in ("trajectories", "observations", "policy", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config, seed = MethodConfig.from_json(arguments.method), arguments.seed
    game = environments.make(EnvironmentConfig.from_json(arguments.environment))
    data = trajectories.load(arguments.trajectories)
    _, windows, _ = training.prepare(config, game, data, arguments.observations, seed)
    policy, _ = checkpoints.load(arguments.policy, config)
    held_out = training.held_out_windows(windows, config.training, seed)
    with replacing(arguments.output) as temporary:
        attention.draw(attention.measure(policy, held_out), arguments.title, temporary)


if __name__ == "__main__":
    execute(main)
