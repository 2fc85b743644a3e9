"""A table for people, from Markdown to the page that the report shows."""

from pathlib import Path

from pipeline import markdown, pages
from pipeline.stages import command, execute


def main() -> None:
    """Parse, read, render, write."""
    parser = command(__doc__)
    for name in ("markdown", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    body = markdown.to_html(arguments.markdown.read_text(encoding="utf-8"))
    pages.write(arguments.output, arguments.markdown.stem, body)


if __name__ == "__main__":
    execute(main)
