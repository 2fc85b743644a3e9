"""Train one method on one data set with one seed: a checkpoint and its training curve.
In processes that share every batch: `torchrun --nproc-per-node 2 -m` for `python -m`."""

import sys
from argparse import Namespace

from pipeline import checkpoints, devices, environments, parallel, resumption, training
from pipeline.atomic import replacing_folder
from pipeline.config import EnvironmentConfig, MethodConfig
from pipeline.models import SequencePolicy
from pipeline.stages import StageParser, execute
from pipeline.trajectories import load

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, environment=EnvironmentConfig)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.add_argument("--save-every", type=int, metavar="STEPS", help=resumption.HELP)
parser.inputs("observations", help="embeddings or pixels, as the method reads them")
parser.inputs("language-model", required=False, help="layers that the policy begins with")
parser.inputs("trajectories")
parser.outputs("output", help="the last checkpoint")
parser.outputs("checkpoints", help="folder of those before it, if the method keeps any")
parser.outputs("curve", help="CSV")


def main(arguments: Namespace) -> None:
    """Load, train, write."""
    config, seed = arguments.method, arguments.seed
    game = environments.make(arguments.environment)
    inputs = load(arguments.trajectories), arguments.observations, seed, arguments.language_model
    policy, windows, description = training.prepare(config, game, *inputs, arguments.device)
    told = parser.identity(arguments, main), arguments.save_every
    saved = resumption.Resumption(arguments.output, *told)
    if parallel.rank():  # only the first process writes
        training.train(policy, windows, config.training, seed, saved=saved)
        sys.exit()
    with replacing_folder(arguments.checkpoints, resumed=saved.waiting) as folder:

        def keep(step: int, policy: SequencePolicy) -> None:
            checkpoints.save(folder / checkpoints.name(step), policy, description)

        curve = training.train(policy, windows, config.training, seed, keep, saved)
        training.write_curve(arguments.curve, curve)
        checkpoints.save(arguments.output, policy, description)
        saved.remove()  # last: what goes on from there needs the checkpoints in the new folder


if __name__ == "__main__":
    execute(main, parser)
