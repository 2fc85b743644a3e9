"""Draw the regions of a few frames of a data set, as a picture to look at."""

from argparse import Namespace

from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing
from pipeline.stages import StageParser, execute
from pipeline.vision import regions
from pipeline.vision.detectors import open_regions

parser = StageParser(__doc__)
parser.inputs("regions", help="artefact of detect_regions")
parser.inputs("frames", help="artefact of render_frames")
parser.outputs("output", help="PNG file")


def main(arguments: Namespace) -> None:
    """Load, draw."""
    frames = Artefact(arguments.frames, "frames")
    found = open_regions(arguments.regions, frames)
    title = f"{arguments.frames.stem}: regions of {found.attributes['detector']['name']}"
    with replacing(arguments.output) as temporary:
        regions.draw(frames, found, title, temporary)


if __name__ == "__main__":
    execute(main, parser)
