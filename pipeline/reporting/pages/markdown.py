"""Markdown, as tables are written for people, → the HTML that people read."""

from markdown_it import MarkdownIt


def to_html(text: str) -> str:
    """Render CommonMark with pipe tables; HTML in `text` is shown as text."""
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return html
