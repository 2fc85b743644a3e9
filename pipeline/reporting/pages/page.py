"""Pages of the report: HTML that stands alone, since the report shows it in a frame.

Nothing is loaded from anywhere: style is in the page, and a video is in its address.
"""

import base64
from html import escape
from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing

LIMIT = 1_500_000
"""Bytes of a page. The report holds it as base64 in an address, which browsers open up to 2 MB."""
VIDEO_LIMIT = 1_000_000
"""Bytes of a video in a page, whose base64 takes a third more."""

STYLE = """
.page { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff;
        max-width: 72rem; margin: 1.5rem auto; padding: 0 1.5rem; }
.page h1 { font-size: 1.5rem; } .page h2 { font-size: 1.15rem; margin-top: 2rem; }
.page table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
.page th, .page td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left;
                     vertical-align: top; }
.page th { border-bottom: 2px solid #888; } .page tbody tr:hover { background: #f4f6f9; }
.page video { max-width: 100%; background: #000; }
.page img { max-width: 100%; }
.page pre { font-size: 12px; line-height: 1.4; white-space: pre-wrap; overflow-wrap: anywhere;
            color: inherit; background: #f7f7f7; padding: .8rem; }
.page section:target h2 { background: #fff3bf; }
.page .opens { display: none; } /* shown on the report's first page, whose scripts they call */
.page .wall .row { display: flex; gap: .8rem; align-items: flex-start; margin: .6rem 0; }
.page .wall .game { width: 6rem; flex: none; font-weight: 600; }
.page .wall figure { margin: 0; flex: 1 1 0; max-width: 15rem; }
.page .wall video { width: 100%; display: block; margin: 0; }
.page .wall figcaption { font-size: 13px; margin: 0; }
"""
"""Of nothing outside: the report's first page shows whole pages inside of its own."""


def write(path: Path, title: str, body: str) -> None:
    """Write a page with the HTML `body`, whole or not at all; PipelineError if it is too large."""
    text = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body>\n<main class="page">\n{body}\n</main>\n</body>\n</html>\n'
    )
    if (size := len(text.encode())) > LIMIT:
        raise PipelineError(
            f"{path}: a page of {size:,} bytes, and browsers open {LIMIT:,} in the report; "
            "show less, of a video by a lower evaluation.video_steps"
        )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def heading(text: str, level: int = 1) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def table(frame: pd.DataFrame) -> str:
    """A table of text, a row per row of `frame`; missing values are empty."""
    html: str = frame.to_html(index=False, border=0, na_rep="", justify="left")
    return html


def video(content: bytes) -> str:
    """An MP4 file's content as a player; of at most VIDEO_LIMIT bytes (`film.fitting`)."""
    encoded = base64.b64encode(content).decode()
    return f'<video controls loop autoplay muted src="data:video/mp4;base64,{encoded}"></video>'
