"""Sweeps of the target return on one data set → one picture."""

import json
from pathlib import Path

from pipeline import sweep_curves
from pipeline.atomic import replacing
from pipeline.scores import Run
from pipeline.stages import command, execute


def main() -> None:
    """Parse → read → plot."""
    parser = command(__doc__)
    parser.add_argument("--runs", required=True, help="JSON list: dataset, method, variant, seed")
    parser.add_argument("--sweeps", type=Path, nargs="+", required=True, help="as --runs")
    parser.add_argument("--title", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [Run(**run) for run in json.loads(arguments.runs)]
    sweeps = [sweep_curves.read(path) for path in arguments.sweeps]
    with replacing(arguments.output) as temporary:
        sweep_curves.plot(runs, sweeps, arguments.title, temporary)


if __name__ == "__main__":
    execute(main)
