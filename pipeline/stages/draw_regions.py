"""Draw the regions of a few frames of a data set, as a picture to look at."""

from typing import Annotated

from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing
from pipeline.stages import Input, Output, execute
from pipeline.vision.detectors import open_regions
from pipeline.vision.regions import draw


def draw_regions(
    *,
    regions: Annotated[Input, "artefact of detect_regions"],
    frames: Annotated[Input, "artefact of render_frames"],
    picture: Annotated[Output, "PNG"],
) -> None:
    """Load, draw."""
    seen = Artefact(frames, "frames")
    found = open_regions(regions, seen)
    title = f"{frames.stem}: regions of {found.attributes['detector']['name']}"
    with replacing(picture) as temporary:
        draw(seen, found, title, temporary)


if __name__ == "__main__":
    execute(draw_regions)
