"""A table for people, from Markdown to the page that the report shows."""

from typing import Annotated

from pipeline.reporting.pages import markdown as texts
from pipeline.reporting.pages import page as pages
from pipeline.stages import Input, Output, execute


def render_table(
    *, markdown: Annotated[Input, "Markdown of tabulate"], page: Annotated[Output, "HTML"]
) -> None:
    """Read, render, write."""
    pages.write(page, markdown.stem, texts.to_html(markdown.read_text(encoding="utf-8")))


if __name__ == "__main__":
    execute(render_table)
