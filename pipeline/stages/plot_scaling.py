"""`scores/<table>.csv` and its policies → scores against the size of the policy, as one picture."""

from typing import Annotated

from pipeline.config.schema import TableConfig
from pipeline.io.atomic import replacing
from pipeline.reporting.figures.scaling import plot, weights
from pipeline.reporting.scores import read_scores
from pipeline.stages import Input, Inputs, Output, execute
from pipeline.stages._runs import Runs


def plot_scaling(
    *,
    table: TableConfig,
    scores: Input,
    runs: Runs = (),
    policies: Annotated[Inputs, "one for each of --runs, in the same order"] = (),
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → plot."""
    sizes = {(run.method, run.variant): path for run, path in zip(runs, policies, strict=True)}
    with replacing(picture) as temporary:
        found = {row: weights(path) for row, path in sizes.items()}
        plot(read_scores(scores), table, found, temporary)


if __name__ == "__main__":
    execute(plot_scaling)
