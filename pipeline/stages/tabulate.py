"""`scores/<table>.csv` → one table, tidy (CSV) and for people (Markdown)."""

import json
from typing import Annotated, Any

from pipeline.config.schema import TableConfig
from pipeline.io.atomic import replacing
from pipeline.reporting import published_scores, tables
from pipeline.reporting.scores import read_scores
from pipeline.reporting.trainings import join, read_cpu_seconds, read_curves
from pipeline.stages import GivenInput, Input, Inputs, Output, Parsed, execute
from pipeline.stages._runs import Runs


def tabulate(
    *,
    name: Annotated[str, "name of the table, printed in each row"],
    table: TableConfig,
    environments: Annotated[dict[str, Any], Parsed(json.loads), "JSON: dataset → its environment"],
    scale: Annotated[str, "label printed in the table"],
    scores: Input,
    runs: Runs = (),
    curves: Annotated[Inputs, "one for each of --runs, in the same order"] = (),
    trainings: Annotated[
        Inputs, "one for each of --runs: Snakemake's benchmark file of its training"
    ] = (),
    published: Annotated[GivenInput, "CSV: what others published"],
    csv: Output,
    across: Annotated[Output, "CSV"],
    markdown: Output,
) -> None:
    """Read → build → write."""
    games = tables.environments(environments)
    seconds = [read_cpu_seconds(path) for path in trainings]
    known = join(read_scores(scores), runs, read_curves(runs, curves), seconds)
    made = tables.make(name, known, table, games, scale)
    of = table.published or name
    others = published_scores.section(published_scores.read(published), of, table.datasets)
    for path, text in (
        (csv, tables.as_csv(made.rows)),
        (across, tables.as_csv(made.across)),
        (markdown, made.markdown + others),
    ):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    execute(tabulate)
