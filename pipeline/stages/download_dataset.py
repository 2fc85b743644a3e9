"""Download a data set by its name into a folder."""

from pipeline.config.schema import DatasetConfig
from pipeline.data import trajectories
from pipeline.stages import Output, execute


def download_dataset(*, dataset: DatasetConfig, folder: Output) -> None:
    """Download."""
    trajectories.download(dataset, folder)


if __name__ == "__main__":
    execute(download_dataset)
