"""Shrink every distinct frame to 84 by 84 grey pixels, for the pixel baselines."""

from pathlib import Path

from pipeline.observations import pixels
from pipeline.stages import command, execute


def main() -> None:
    """Parse, shrink, write."""
    parser = command(__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="artefact of render_frames")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    pixels.shrink_artefact(arguments.frames, arguments.output)


if __name__ == "__main__":
    execute(main)
