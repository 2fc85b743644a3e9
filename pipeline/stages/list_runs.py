"""What every run was made from, as a page."""

from typing import Annotated

from pipeline.reporting.pages import listings
from pipeline.reporting.pages import page as pages
from pipeline.stages import Inputs, Output, execute
from pipeline.stages._runs import Runs

TITLE = "Runs and what they were made from"


def list_runs(
    *,
    runs: Runs,
    run: Annotated[Inputs, "one for each of --runs, in the same order"],
    page: Annotated[Output, "HTML"],
) -> None:
    """Read, write."""
    listed = listings.runs(runs, run)
    pages.write(page, TITLE, pages.heading(TITLE) + pages.table(listed))


if __name__ == "__main__":
    execute(list_runs)
