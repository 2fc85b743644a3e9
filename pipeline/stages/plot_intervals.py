"""`across_games/<table>.csv` → its figures as points with intervals, in one picture."""

from typing import Annotated

import pandas as pd

from pipeline.io.atomic import replacing
from pipeline.reporting.figures.intervals import plot
from pipeline.stages import Input, Output, execute


def plot_intervals(
    *, across: Annotated[Input, "CSV of tabulate"], picture: Annotated[Output, "PNG"]
) -> None:
    """Read → plot."""
    with replacing(picture) as temporary:
        plot(pd.read_csv(across), temporary)


if __name__ == "__main__":
    execute(plot_intervals)
