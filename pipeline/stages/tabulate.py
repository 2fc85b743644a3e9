"""`scores/<table>.csv` → one table, tidy (CSV) and for people (Markdown)."""

import json
from argparse import Namespace

from pipeline.config.schema import TableConfig
from pipeline.io.atomic import replacing
from pipeline.reporting import published_scores, tables
from pipeline.reporting.scores import read_scores
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--name", required=True, help="of the table, printed in each row")
parser.sections(table=TableConfig)
parser.add_argument(
    "--environments", type=json.loads, required=True, help="JSON: dataset → its environment"
)
parser.add_argument("--scale", required=True, help="label printed in the table")
parser.inputs("scores")
parser.given_inputs("published", help="CSV: what others published")
parser.outputs("csv", "across-csv", "markdown")


def main(arguments: Namespace) -> None:
    """Read → build → write."""
    environments = tables.environments(arguments.environments)
    scores = read_scores(arguments.scores)
    table = tables.make(arguments.name, scores, arguments.table, environments, arguments.scale)
    published = published_scores.read(arguments.published)
    beside = published_scores.section(published, arguments.name, arguments.table.datasets)
    for path, text in (
        (arguments.csv, tables.as_csv(table.rows)),
        (arguments.across_csv, tables.as_csv(table.across)),
        (arguments.markdown, table.markdown + beside),
    ):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
