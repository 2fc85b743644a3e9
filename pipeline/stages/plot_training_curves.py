"""Training curves and scores of all runs → one picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting.figures.learning_curves import plot, read_curve
from pipeline.reporting.scores import read_scores
from pipeline.stages import Input, Inputs, Output, execute
from pipeline.stages._runs import Runs


def plot_training_curves(
    *,
    runs: Runs,
    curves: Annotated[Inputs, "as --runs"],
    scores: Input,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → plot."""
    with replacing(picture) as temporary:
        plot(runs, [read_curve(path) for path in curves], read_scores(scores), temporary)


if __name__ == "__main__":
    execute(plot_training_curves)
