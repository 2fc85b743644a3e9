"""Collect the episodes that a data set's configuration asks for into one artefact."""

from argparse import Namespace

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import trajectories
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(dataset=DatasetConfig, environment=EnvironmentConfig)
parser.input_below("resources", lambda given: given.dataset.files, help="folder of the recordings")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Collect, write."""
    dataset, environment = arguments.dataset, arguments.environment
    collected = trajectories.collect(dataset, environment, arguments.resources)
    trajectories.save(arguments.output, collected, environment, dataset)


if __name__ == "__main__":
    execute(main, parser)
