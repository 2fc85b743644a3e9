"""A rollout video as a page that plays it, for the report."""

from pathlib import Path

from pipeline import pages
from pipeline.stages import command, execute


def main() -> None:
    """Parse, read, write."""
    parser = command(__doc__)
    parser.add_argument("--video", type=Path, required=True, help="MP4 of evaluate_policy")
    parser.add_argument("--title", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    body = pages.heading(arguments.title) + pages.video(arguments.video)
    pages.write(arguments.output, arguments.title, body)


if __name__ == "__main__":
    execute(main)
