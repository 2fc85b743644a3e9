"""Draw the regions of a few frames of a data set, as a picture to look at."""

from argparse import Namespace

from pipeline import regions
from pipeline.atomic import replacing
from pipeline.detectors import open_regions
from pipeline.stages import StageParser, execute
from pipeline.storage import Artefact

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
