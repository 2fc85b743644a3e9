"""Training curves and scores of all runs → one picture."""

import json
from pathlib import Path

from pipeline.learning_curves import plot, read_curve
from pipeline.scores import Run, read_scores
from pipeline.stages import command, execute


def main() -> None:
    """Parse → read → plot."""
    parser = command(__doc__)
    parser.add_argument("--runs", required=True, help="JSON list: dataset, method, variant, seed")
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help="as --runs")
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [Run(**run) for run in json.loads(arguments.runs)]
    curves = [read_curve(path) for path in arguments.curves]
    plot(runs, curves, read_scores(arguments.scores), arguments.output)


if __name__ == "__main__":
    execute(main)
