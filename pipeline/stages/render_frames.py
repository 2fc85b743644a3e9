"""Replay every episode in the emulator, check it, and store each distinct frame once."""

from argparse import Namespace

from pipeline import frames, trajectories
from pipeline.config import EnvironmentConfig
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig)
parser.inputs("trajectories")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, replay, write."""
    data = trajectories.load(arguments.trajectories)
    frames.render(data, arguments.environment, arguments.output)


if __name__ == "__main__":
    execute(main, parser)
