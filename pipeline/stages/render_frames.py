"""Replay or draw every step of a data set, and store each distinct frame once."""

from argparse import Namespace

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import frames, trajectories
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig, dataset=DatasetConfig)
parser.inputs("trajectories")
parser.input_below(
    "resources", lambda given: frames.files_of(given.dataset), help="folder of the recordings"
)
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, draw, write."""
    data = trajectories.load(arguments.trajectories)
    environment = arguments.environment
    own = frames.of_source(arguments.dataset, environment, arguments.resources)
    frames.render(data, environment, arguments.output, own)


if __name__ == "__main__":
    execute(main, parser)
