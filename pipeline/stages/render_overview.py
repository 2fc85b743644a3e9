"""The first page of the report: a table whose cells lead on, its intervals, its videos."""

from typing import Annotated

from pipeline.io.csv import read_csv
from pipeline.reporting import tables
from pipeline.reporting.pages import overview
from pipeline.reporting.pages import page as pages
from pipeline.stages import Input, Inputs, Output, execute
from pipeline.stages._runs import Runs


def render_overview(
    *,
    title: str,
    table: Annotated[Input, "CSV of tabulate"],
    intervals: Annotated[Input, "PNG of plot_intervals"],
    explained: Annotated[Input, "HTML of explain_table"],
    runs: Runs = (),
    videos: Annotated[Inputs, "MP4 of film_policy, one for each of --runs"] = (),
    players: Annotated[Inputs, "HTML of show_rollout, one for each of --runs"] = (),
    page: Annotated[Output, "HTML"],
) -> None:
    """Read → write."""
    films = overview.films(runs, videos, players)
    rows = read_csv(table, tables.COLUMNS, "tabulate it again")
    html = overview.body(title, rows, intervals, explained, films)
    pages.write(page, title, html)


if __name__ == "__main__":
    execute(render_overview)
