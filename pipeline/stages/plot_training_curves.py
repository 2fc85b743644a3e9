"""Training curves and scores of all runs → one picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting.figures.learning_curves import plot
from pipeline.reporting.scores import read_scores
from pipeline.reporting.trainings import join, read_cpu_seconds, read_curves
from pipeline.stages import Input, Inputs, Output, execute
from pipeline.stages._runs import Runs


def plot_training_curves(
    *,
    runs: Runs,
    curves: Annotated[Inputs, "one for each of --runs, in the same order"],
    trainings: Annotated[
        Inputs, "one for each of --runs: Snakemake's benchmark file of its training"
    ] = (),
    scores: Input,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → plot."""
    with replacing(picture) as temporary:
        read = read_curves(runs, curves)
        seconds = [read_cpu_seconds(path) for path in trainings]
        plot(runs, read, join(read_scores(scores), runs, read, seconds), temporary)


if __name__ == "__main__":
    execute(plot_training_curves)
