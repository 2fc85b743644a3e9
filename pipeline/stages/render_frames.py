"""Store the frame of every step, each distinct one once: those that the source's own files hold, or
those of a replay in the emulator, which is checked.
"""

from argparse import Namespace

from pipeline import frames, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig, dataset=DatasetConfig)
parser.inputs("trajectories")
parser.input_below(
    "resources",
    lambda given: trajectories.images_of(given.dataset),
    help="folder of the source's files",
)
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, replay or read, write."""
    environment, dataset = arguments.environment, arguments.dataset
    data = trajectories.load(arguments.trajectories)
    stored = trajectories.stored_frames(dataset, environment, arguments.resources)
    frames.render(data, environment, arguments.output, stored)


if __name__ == "__main__":
    execute(main, parser)
