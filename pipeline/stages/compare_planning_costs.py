"""Timed decisions and scores of planners → one table, tidy and for people, and a picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting import planning_cost, tables
from pipeline.reporting.figures import planning_cost as picture_of
from pipeline.reporting.scores import gather
from pipeline.stages import GivenInput, Inputs, Output, execute
from pipeline.stages._runs import Runs


def compare_planning_costs(
    *,
    timed: Runs = (),
    decisions: Annotated[Inputs, "one for each of --timed, in the same order"] = (),
    runs: Runs = (),
    episodes: Annotated[Inputs, "one for each of --runs, in the same order"] = (),
    run: Annotated[Inputs, "one for each of --runs, in the same order"] = (),
    published: Annotated[GivenInput, "CSV: what others published"],
    csv: Output,
    markdown: Output,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → join → write, draw."""
    others = planning_cost.read_published(published)
    measured = planning_cost.by_run(timed, decisions)
    rows = planning_cost.table(measured, gather(runs, episodes, run))
    text = {csv: tables.as_csv(rows), markdown: planning_cost.markdown(rows, others)}
    for path, content in text.items():
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    with replacing(picture) as temporary:
        picture_of.plot(rows, others, temporary)


if __name__ == "__main__":
    execute(compare_planning_costs)
