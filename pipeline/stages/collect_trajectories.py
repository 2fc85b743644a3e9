"""Collect the episodes that a data set's configuration asks for into one artefact."""

from pathlib import Path

from pipeline import trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, collect, write."""
    parser = command(__doc__)
    parser.add_argument("--dataset", required=True, help="dataset section, JSON")
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    parser.add_argument("--resources", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    dataset = DatasetConfig.from_json(arguments.dataset)
    environment = EnvironmentConfig.from_json(arguments.environment)
    collected = trajectories.collect(dataset, environment, arguments.resources)
    trajectories.save(arguments.output, collected, environment, dataset)


if __name__ == "__main__":
    execute(main)
