"""A rollout video as a page that plays it, for the report."""

from argparse import Namespace

from pipeline.reporting.pages import page
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--title", required=True)
parser.inputs("video", help="MP4 of evaluate_policy")
parser.outputs("output", help="HTML")


def main(arguments: Namespace) -> None:
    """Read, write."""
    body = page.heading(arguments.title) + page.video(arguments.video)
    page.write(arguments.output, arguments.title, body)


if __name__ == "__main__":
    execute(main, parser)
