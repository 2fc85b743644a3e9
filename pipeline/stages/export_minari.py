"""Write the episodes of a data set, with their frames, as a Minari data set."""

from argparse import Namespace

from pipeline.config.schema import EnvironmentConfig
from pipeline.data import export_minari, trajectories
from pipeline.io.artefact import Artefact
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig)
parser.add_argument("--name", required=True, help="Minari's name of the data set, with a version")
parser.inputs("trajectories")
parser.inputs("frames", required=False, help="artefact of render_frames")
parser.outputs("output", help="folder of the data set, named like it")


def main(arguments: Namespace) -> None:
    """Load, write."""
    frames = Artefact(arguments.frames, "frames", memory_mb=256) if arguments.frames else None
    data = trajectories.load(arguments.trajectories)
    export_minari.export(data, arguments.environment, frames, arguments.name, arguments.output)


if __name__ == "__main__":
    execute(main, parser)
