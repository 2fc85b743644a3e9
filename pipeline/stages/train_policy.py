"""Train one method on one data set with one seed: a checkpoint and its training curve."""

from argparse import Namespace

from pipeline import checkpoints, environments, training, trajectories
from pipeline.atomic import replacing_folder
from pipeline.config import EnvironmentConfig, MethodConfig
from pipeline.resumption import Resumption
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, environment=EnvironmentConfig)
parser.add_argument("--seed", type=int, required=True)
parser.inputs("observations", help="embeddings or pixels, as the method reads them")
parser.inputs("language-model", required=False, help="layers that the policy begins with")
parser.inputs("trajectories")
parser.outputs("output", help="the last checkpoint")
parser.outputs("checkpoints", help="folder of those before it, if the method keeps any")
parser.outputs("curve", help="CSV")


def main(arguments: Namespace) -> None:
    """Load, train, write."""
    config = arguments.method
    game = environments.make(arguments.environment)
    data = trajectories.load(arguments.trajectories)
    policy, windows, description = training.prepare(
        config, game, data, arguments.observations, arguments.seed, arguments.language_model
    )
    saved = Resumption(arguments.output, parser.identity(arguments, main))
    with replacing_folder(arguments.checkpoints, resumed=saved.waiting) as folder:

        def keep(step: int) -> None:
            checkpoints.save(folder / checkpoints.name(step), policy, description)

        curve = training.train(policy, windows, config.training, arguments.seed, keep, saved)
    training.write_curve(arguments.curve, curve)
    checkpoints.save(arguments.output, policy, description)
    saved.remove()


if __name__ == "__main__":
    execute(main, parser)
