"""The jobs' benchmark files → time and memory per stage, as a table and a picture."""

import json
from argparse import Namespace

from pipeline.io.atomic import replacing
from pipeline.reporting.figures import costs
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument(
    "--stages", type=json.loads, required=True, help="JSON list: the stage of each file"
)
parser.inputs("benchmarks", nargs="+", help="as --stages")
parser.outputs("csv", "picture")


def main(arguments: Namespace) -> None:
    """Read → plot, write."""
    table = costs.summarise(arguments.stages, arguments.benchmarks)
    with replacing(arguments.csv) as csv, replacing(arguments.picture) as picture:
        table.to_csv(csv, index=False, encoding="utf-8")
        costs.plot(table, picture)


if __name__ == "__main__":
    execute(main, parser)
