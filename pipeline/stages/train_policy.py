"""Train one method on one data set with one seed: a checkpoint and its training curve.
In processes that share every batch: `torchrun --nproc-per-node 2 -m` for `python -m`."""

import sys
from argparse import Namespace
from functools import partial

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.trajectories import load
from pipeline.hardware import devices, distributed
from pipeline.io.atomic import replacing_folder
from pipeline.language.pretraining import begin_with
from pipeline.stages import StageParser, execute
from pipeline.training import checkpoint, loop
from pipeline.training.curve import write_curve
from pipeline.training.preparation import prepare
from pipeline.training.resume import HELP, Resumption

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, environment=EnvironmentConfig)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.add_argument("--save-every", type=int, metavar="STEPS", help=HELP)
parser.inputs("observations", "trajectories", help="of one data set")
parser.inputs("language-model", required=False, help="layers that the policy begins with")
parser.outputs("output", help="the last checkpoint")
parser.outputs("checkpoints", help="folder of those before it, if the method keeps any")
parser.outputs("curve", help="CSV")


def main(arguments: Namespace) -> None:
    """Load, train, write."""
    config, seed = arguments.method, arguments.seed
    begin = partial(begin_with, arguments.language_model)
    told = load(arguments.trajectories), arguments.observations, seed, arguments.device, begin
    policy, windows, description = prepare(config, arguments.environment, *told)
    saved = Resumption(arguments.output, parser.identity(arguments, main), arguments.save_every)
    if distributed.rank():  # only the first process writes
        loop.train(policy, windows, config.training, seed, saved=saved)
        sys.exit()
    with replacing_folder(arguments.checkpoints, resumed=saved.waiting) as folder:
        keep = partial(checkpoint.keep, folder, description)
        curve = loop.train(policy, windows, config.training, seed, keep, saved)
        write_curve(arguments.curve, curve)
        checkpoint.save(arguments.output, policy, description)
        saved.remove()  # last: what goes on from there needs the checkpoints in the new folder


if __name__ == "__main__":
    execute(main, parser)
