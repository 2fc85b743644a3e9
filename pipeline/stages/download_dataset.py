"""Download a data set by its name into a folder."""

from argparse import Namespace

from pipeline.config.schema import DatasetConfig
from pipeline.data import trajectories
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(dataset=DatasetConfig)
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Download."""
    trajectories.download(arguments.dataset, arguments.output)


if __name__ == "__main__":
    execute(main, parser)
