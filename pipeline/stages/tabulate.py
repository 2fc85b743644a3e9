"""`scores/<table>.csv` → one table, tidy (CSV) and for people (Markdown)."""

import json
from pathlib import Path

from pipeline import tables
from pipeline.config import EnvironmentConfig, TableConfig
from pipeline.scores import read_scores
from pipeline.stages import command, execute


def main() -> None:
    """Parse → read → build → write."""
    parser = command(__doc__)
    parser.add_argument("--name", required=True, help="module of pipeline/tables/")
    parser.add_argument("--table", required=True, help="JSON of the table's grid")
    parser.add_argument("--environments", required=True, help="JSON: dataset → its environment")
    parser.add_argument("--scale", required=True, help="label printed in the table")
    parser.add_argument("--scores", type=Path, required=True)
    for name in ("csv", "across-csv", "markdown"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    environments = {
        dataset: EnvironmentConfig.model_validate(settings)
        for dataset, settings in json.loads(arguments.environments).items()
    }
    grid = TableConfig.from_json(arguments.table)
    scores = read_scores(arguments.scores)
    table = tables.make(arguments.name, scores, grid, environments, arguments.scale)
    table.rows.to_csv(arguments.csv, index=False, float_format="%.4f")
    table.across.to_csv(arguments.across_csv, index=False, float_format="%.4f")
    arguments.markdown.write_text(table.markdown, encoding="utf-8")


if __name__ == "__main__":
    execute(main)
