"""What `explain` says of every row of a table, as a page."""

from typing import Annotated

from pipeline.io.csv import read_csv
from pipeline.provenance.explain import PLACE, explain
from pipeline.reporting.pages import explained
from pipeline.reporting.pages import page as pages
from pipeline.stages import Input, Output, execute

COLUMN = "mean"
"""What is explained of each row; its other figures come from the same episodes."""


def explain_table(
    *, table: Annotated[Input, "CSV of tabulate"], page: Annotated[Output, "HTML"]
) -> None:
    """Explain each row, one with several points of a figure by its last, and write."""
    rows = read_csv(table, [*PLACE, COLUMN], "tabulate it again")
    rows = rows.drop_duplicates([*PLACE], keep="last")
    told = {
        (row["dataset"], row["method"], row["variant"]): explain(table, str(number), COLUMN)[0]
        for number, row in rows.iterrows()
    }
    title = f"{table.stem}: what each row was made from"
    pages.write(page, title, explained.body(title, told))


if __name__ == "__main__":
    execute(explain_table)
