"""Runs' episodes and descriptions → `scores/<table>.csv`, one row per episode."""

import json
from pathlib import Path

from pipeline.scores import Run, gather
from pipeline.stages import command, execute


def main() -> None:
    """Parse → read → gather → write."""
    parser = command(__doc__)
    parser.add_argument("--runs", required=True, help="JSON list: dataset, method, variant, seed")
    parser.add_argument("--episodes-csv", type=Path, nargs="+", required=True, help="as --runs")
    parser.add_argument("--run-json", type=Path, nargs="+", required=True, help="as --runs")
    parser.add_argument("--checkpoint-runs", default="[]", help="those with earlier checkpoints")
    parser.add_argument(
        "--checkpoints-csv", type=Path, nargs="*", default=[], help="as --checkpoint-runs"
    )
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [Run(**run) for run in json.loads(arguments.runs)]
    played_before = [Run(**run) for run in json.loads(arguments.checkpoint_runs)]
    earlier = dict(zip(played_before, arguments.checkpoints_csv, strict=True))
    scores = gather(runs, arguments.episodes_csv, arguments.run_json, earlier)
    scores.to_csv(arguments.output, index=False)


if __name__ == "__main__":
    execute(main)
