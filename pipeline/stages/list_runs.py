"""What every run was made from, as a page."""

from argparse import Namespace

from pipeline.reporting.pages import listings, page
from pipeline.reporting.scores import read_grid
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--runs", type=read_grid, required=True, help="dataset, method, variant, seed")
parser.inputs("run-json", nargs="+", help="as --runs")
parser.outputs("output", help="HTML")

TITLE = "Runs and what they were made from"


def main(arguments: Namespace) -> None:
    """Read, write."""
    listed = listings.runs(arguments.runs, arguments.run_json)
    page.write(arguments.output, TITLE, page.heading(TITLE) + page.table(listed))


if __name__ == "__main__":
    execute(main, parser)
