"""Sweeps of the target return on one data set → one picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting.figures import sweep_curves
from pipeline.stages import Inputs, Output, execute
from pipeline.stages._runs import Runs


def plot_target_sweeps(
    *,
    runs: Runs = (),
    title: str,
    sweeps: Annotated[Inputs, "one for each of --runs, in the same order"] = (),
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → plot."""
    with replacing(picture) as temporary:
        sweep_curves.plot(runs, [sweep_curves.read(path) for path in sweeps], title, temporary)


if __name__ == "__main__":
    execute(plot_target_sweeps)
