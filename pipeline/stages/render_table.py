"""A table for people, from Markdown to the page that the report shows."""

from argparse import Namespace

from pipeline.reporting.pages import markdown, page
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.inputs("markdown", help="of tabulate")
parser.outputs("output", help="HTML")


def main(arguments: Namespace) -> None:
    """Read, render, write."""
    body = markdown.to_html(arguments.markdown.read_text(encoding="utf-8"))
    page.write(arguments.output, arguments.markdown.stem, body)


if __name__ == "__main__":
    execute(main, parser)
