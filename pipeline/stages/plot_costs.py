"""The jobs' benchmark files → time and memory per stage, as a table and a picture."""

from collections.abc import Sequence
from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting.figures import costs
from pipeline.stages import Inputs, Output, execute


def plot_costs(
    *,
    stages: Annotated[Sequence[str], "the stage of each file"],
    benchmarks: Annotated[Inputs, "one for each of --stages, in the same order"],
    csv: Output,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → plot, write."""
    table = costs.summarise(stages, benchmarks)
    with replacing(csv) as rows, replacing(picture) as drawn:
        table.to_csv(rows, index=False, encoding="utf-8")
        costs.plot(table, drawn)


if __name__ == "__main__":
    execute(plot_costs)
