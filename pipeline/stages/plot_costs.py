"""The jobs' benchmark files → time and memory per stage, as a table and a picture."""

import json
from pathlib import Path

from pipeline import costs
from pipeline.atomic import replacing
from pipeline.stages import command, execute


def main() -> None:
    """Parse → read → plot, write."""
    parser = command(__doc__)
    parser.add_argument("--stages", required=True, help="JSON list: the stage of each file")
    parser.add_argument("--benchmarks", type=Path, nargs="+", required=True, help="as --stages")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    arguments = parser.parse_args()
    table = costs.summarise(json.loads(arguments.stages), arguments.benchmarks)
    with replacing(arguments.csv) as csv, replacing(arguments.picture) as picture:
        table.to_csv(csv, index=False)
        costs.plot(table, picture)


if __name__ == "__main__":
    execute(main)
