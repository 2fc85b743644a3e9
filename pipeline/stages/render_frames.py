"""Replay or draw every step of a data set, and store each distinct frame once."""

from typing import Annotated

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.frames import files_of, of_source, render
from pipeline.data.trajectories import load
from pipeline.stages import GivenInput, Input, Output, Reads, execute


def render_frames(
    *,
    environment: EnvironmentConfig,
    dataset: DatasetConfig,
    trajectories: Input,
    resources: Annotated[
        GivenInput, Reads(lambda told: files_of(told.dataset)), "folder of the recordings"
    ],
    frames: Output,
) -> None:
    """Load, draw, write."""
    own = of_source(dataset, environment, resources)
    render(load(trajectories), environment, frames, own)


if __name__ == "__main__":
    execute(render_frames)
