"""Draw the regions of a few frames of a data set, as a picture to look at."""

from pathlib import Path

from pipeline import regions
from pipeline.atomic import replacing
from pipeline.detectors import open_regions
from pipeline.stages import command, execute
from pipeline.storage import Artefact


def main() -> None:
    """Parse, load, draw."""
    parser = command(__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="artefact of render_frames")
    parser.add_argument("--regions", type=Path, required=True, help="artefact of detect_regions")
    parser.add_argument("--output", type=Path, required=True, help="PNG file")
    arguments = parser.parse_args()
    frames = Artefact(arguments.frames, "frames")
    found = open_regions(arguments.regions, frames)
    title = f"{arguments.frames.stem}: regions of {found.attributes['detector']['name']}"
    with replacing(arguments.output) as temporary:
        regions.draw(frames, found, title, temporary)


if __name__ == "__main__":
    execute(main)
