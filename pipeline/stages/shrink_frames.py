"""Shrink every distinct frame to 84 by 84 grey pixels, for the pixel baselines."""

from argparse import Namespace

from pipeline.observations import pixels
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.inputs("frames", help="artefact of render_frames")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Shrink, write."""
    pixels.shrink_artefact(arguments.frames, arguments.output)


if __name__ == "__main__":
    execute(main, parser)
