"""Train one method on one data set with one seed: a checkpoint and its training curve."""

from argparse import Namespace

from pipeline import checkpoints, environments, training, trajectories
from pipeline.config import EnvironmentConfig, MethodConfig
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, environment=EnvironmentConfig)
parser.add_argument("--seed", type=int, required=True)
parser.inputs("observations", help="embeddings or pixels, as the method reads them")
parser.inputs("trajectories")
parser.outputs("output", help="checkpoint")
parser.outputs("curve", help="CSV")


def main(arguments: Namespace) -> None:
    """Load, train, write."""
    config = arguments.method
    game = environments.make(arguments.environment)
    data = trajectories.load(arguments.trajectories)
    policy, windows, description = training.prepare(
        config, game, data, arguments.observations, arguments.seed
    )
    curve = training.train(policy, windows, config.training, arguments.seed)
    checkpoints.save(arguments.output, policy, description)
    training.write_curve(arguments.curve, curve)


if __name__ == "__main__":
    execute(main, parser)
