"""`scores/<table>.csv` → the share of each row's runs that score more than τ, as one picture."""

from typing import Annotated

from pipeline.config.schema import TableConfig
from pipeline.io.atomic import replacing
from pipeline.reporting.figures.performance_profiles import plot
from pipeline.reporting.scores import read_scores
from pipeline.stages import Input, Output, execute


def plot_performance_profiles(
    *, table: TableConfig, scores: Input, picture: Annotated[Output, "PNG"]
) -> None:
    """Read → plot."""
    with replacing(picture) as temporary:
        plot(read_scores(scores), table, temporary)


if __name__ == "__main__":
    execute(plot_performance_profiles)
