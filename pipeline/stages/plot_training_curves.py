"""Training curves and scores of all runs → one picture."""

from argparse import Namespace

from pipeline.io.atomic import replacing
from pipeline.reporting.figures.learning_curves import plot, read_curve
from pipeline.reporting.scores import read_grid, read_scores
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--runs", type=read_grid, required=True, help="dataset, method, variant, seed")
parser.inputs("curves", nargs="+", help="as --runs")
parser.inputs("scores")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Read → plot."""
    curves = [read_curve(path) for path in arguments.curves]
    with replacing(arguments.output) as temporary:
        plot(arguments.runs, curves, read_scores(arguments.scores), temporary)


if __name__ == "__main__":
    execute(main, parser)
