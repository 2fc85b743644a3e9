"""Sweeps of the target return on one data set → one picture."""

from argparse import Namespace

from pipeline.io.atomic import replacing
from pipeline.reporting.figures import sweep_curves
from pipeline.reporting.scores import read_grid
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--runs", type=read_grid, required=True, help="dataset, method, variant, seed")
parser.add_argument("--title", required=True)
parser.inputs("sweeps", nargs="+", help="as --runs")
parser.outputs("output", help="PNG")


def main(arguments: Namespace) -> None:
    """Read → plot."""
    sweeps = [sweep_curves.read(path) for path in arguments.sweeps]
    with replacing(arguments.output) as temporary:
        sweep_curves.plot(arguments.runs, sweeps, arguments.title, temporary)


if __name__ == "__main__":
    execute(main, parser)
