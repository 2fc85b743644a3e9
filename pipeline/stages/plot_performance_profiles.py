"""`scores/<table>.csv` → the share of each row's runs that score more than τ, as one picture."""

from pathlib import Path

from pipeline.config import TableConfig
from pipeline.performance_profiles import plot
from pipeline.scores import read_scores
from pipeline.stages import command, execute


def main() -> None:
    """Parse → read → plot."""
    parser = command(__doc__)
    parser.add_argument("--table", required=True, help="JSON of the table's grid")
    for name in ("scores", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    grid = TableConfig.from_json(arguments.table)
    plot(read_scores(arguments.scores), grid, arguments.output)


if __name__ == "__main__":
    execute(main)
