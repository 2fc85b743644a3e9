"""`scores/<table>.csv` → the share of each row's runs that score more than τ, as one picture."""

from argparse import Namespace

from pipeline.config.schema import TableConfig
from pipeline.io.atomic import replacing
from pipeline.reporting.figures.performance_profiles import plot
from pipeline.reporting.scores import read_scores
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(table=TableConfig)
parser.inputs("scores")
parser.outputs("output", help="PNG")


def main(arguments: Namespace) -> None:
    """Read → plot."""
    with replacing(arguments.output) as temporary:
        plot(read_scores(arguments.scores), arguments.table, temporary)


if __name__ == "__main__":
    execute(main, parser)
