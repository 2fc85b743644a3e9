"""Shrink every distinct frame to 84 by 84 grey pixels, for the pixel baselines."""

from typing import Annotated

from pipeline.observations.pixels import shrink_artefact
from pipeline.stages import Input, Output, execute


def shrink_frames(*, frames: Annotated[Input, "artefact of render_frames"], pixels: Output) -> None:
    """Shrink, write."""
    shrink_artefact(frames, pixels)


if __name__ == "__main__":
    execute(shrink_frames)
