"""What every run was made from, as a page."""

import json
from pathlib import Path

from pipeline import listings, pages
from pipeline.scores import Run
from pipeline.stages import command, execute

TITLE = "Runs and what they were made from"


def main() -> None:
    """Parse, read, write."""
    parser = command(__doc__)
    parser.add_argument("--runs", required=True, help="JSON list: dataset, method, variant, seed")
    parser.add_argument("--run-json", type=Path, nargs="+", required=True, help="as --runs")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    listed = listings.runs([Run(**run) for run in json.loads(arguments.runs)], arguments.run_json)
    pages.write(arguments.output, TITLE, pages.heading(TITLE) + pages.table(listed))


if __name__ == "__main__":
    execute(main)
