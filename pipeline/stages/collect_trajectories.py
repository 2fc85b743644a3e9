"""Collect the episodes that a data set's configuration asks for into one artefact."""

from typing import Annotated

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.trajectories import collect, save
from pipeline.stages import GivenInput, Output, Reads, execute


def collect_trajectories(
    *,
    dataset: DatasetConfig,
    environment: EnvironmentConfig,
    resources: Annotated[
        GivenInput, Reads(lambda told: told.dataset.files), "folder of the recordings"
    ],
    trajectories: Output,
) -> None:
    """Collect, write."""
    collected = collect(dataset, environment, resources)
    save(trajectories, collected, environment, dataset)


if __name__ == "__main__":
    execute(collect_trajectories)
