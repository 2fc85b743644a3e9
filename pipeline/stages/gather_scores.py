"""Runs' episodes and descriptions → `scores/<table>.csv`, one row per episode."""

from argparse import Namespace

from pipeline.io.atomic import replacing
from pipeline.reporting.scores import gather, read_grid
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--runs", type=read_grid, required=True, help="dataset, method, variant, seed")
parser.inputs("episodes-csv", "run-json", nargs="+", help="as --runs")
parser.add_argument(
    "--checkpoint-runs", type=read_grid, default=[], help="those whose earlier checkpoints played"
)
parser.inputs("checkpoints-csv", nargs="*", default=[], required=False, help="as --checkpoint-runs")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Read → gather → write."""
    earlier = dict(zip(arguments.checkpoint_runs, arguments.checkpoints_csv, strict=True))
    scores = gather(arguments.runs, arguments.episodes_csv, arguments.run_json, earlier)
    with replacing(arguments.output) as temporary:
        scores.to_csv(temporary, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
