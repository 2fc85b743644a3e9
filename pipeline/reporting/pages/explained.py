"""Every row of a table explained: the episodes behind it, and all that they were made from."""

from collections.abc import Mapping
from html import escape

from pipeline.reporting.pages import page as pages
from pipeline.reporting.tables import printed

Place = tuple[str, str, str]
"""Data set, method, variant."""


def anchor(place: Place) -> str:
    """The part of the page's address that finds a row."""
    return "-".join(place)


def body(title: str, told: Mapping[Place, str]) -> str:
    """The page's HTML, a section for each row with what is told of it."""
    parts = [pages.heading(title)]
    for place, text in told.items():
        name = f"{place[0]}, {printed(*place[1:])}"
        parts.append(f'<section id="{escape(anchor(place))}">{pages.heading(name, 2)}')
        parts.append(f"<pre>{escape(text)}</pre></section>")
    return "\n".join(parts)
