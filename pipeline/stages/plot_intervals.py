"""`across_games/<table>.csv` → its figures as points with intervals, in one picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.io.csv import read_csv
from pipeline.reporting.figures.intervals import COLUMNS, plot
from pipeline.stages import Input, Output, execute


def plot_intervals(
    *, across: Annotated[Input, "CSV of tabulate"], picture: Annotated[Output, "PNG"]
) -> None:
    """Read → plot."""
    with replacing(picture) as temporary:
        plot(read_csv(across, COLUMNS, "tabulate it again"), temporary)


if __name__ == "__main__":
    execute(plot_intervals)
