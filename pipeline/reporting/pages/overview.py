"""The result at a glance: a table's scores, its figures across games, and its policies at play.

The page is shown as the report's first, where a cell opens what it rests on. Those links call the
report's own scripts, so that they are hidden where the page stands alone.
"""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.reporting.formatting import count, figure
from pipeline.reporting.pages import page as pages
from pipeline.reporting.pages.explained import Place, anchor
from pipeline.reporting.pages.film import beginning
from pipeline.reporting.scores import Run
from pipeline.reporting.tables import printed
from pipeline.reporting.tables._markdown import ahead, explained, with_intervals

SECONDS = 20
"""Of each video that are shown among the others."""
ROOM = 900_000
"""Bytes of all videos together, whose base64 takes a third more."""


class Film(NamedTuple):
    """A policy's video."""

    run: Run
    video: Path
    player: Path
    """The page of the report that plays the whole of it."""


def films(
    runs: Sequence[Run], videos: Sequence[Path], players: Sequence[Path]
) -> dict[Place, Film]:
    """The first film of each place, in their order."""
    found: dict[Place, Film] = {}
    for run, video, player in zip(runs, videos, players, strict=True):
        found.setdefault((run.dataset, run.method, run.variant), Film(run, video, player))
    return found


def body(
    title: str, table: pd.DataFrame, intervals: Path, told: Path, films: dict[Place, Film]
) -> str:
    """The page's HTML.

    Args:
        title: of the table.
        table: tidy rows of `pipeline.reporting.tables`.
        intervals: PNG of the figures across games.
        told: page of the report on which the rows are explained.
        films: of those of its rows that were filmed.
    """
    picture = base64.b64encode(intervals.read_bytes()).decode()
    parts = [
        pages.heading(title),
        _grid(table, told, films),
        f"<p>{escape(_reading(table))}</p>",
        f'<img alt="intervals across games" src="data:image/png;base64,{picture}">',
        "<p>g is 0 for random play and 1 for the mean of the recorded episodes. Runs are resampled "
        "within each game.</p>",
    ]
    return "\n".join([*parts, *(_wall(films) if films else [])])


def _reading(table: pd.DataFrame) -> str:
    """How the cells are to be read."""
    seeds, episodes = int(table["seeds"].iloc[0]), table["episodes"] / table["seeds"]
    least, most = (f"{end:g}" for end in (episodes.min(), episodes.max()))
    played = least if least == most else f"{least} to {most}"
    text = explained(seeds).replace("**", "")
    return f"{text} Each of {count(seeds, 'seed')} played {played} episodes."


def _grid(table: pd.DataFrame, told: Path, films: dict[Place, Film]) -> str:
    """Games × rows; a figure with several points gives its last ones."""
    rows = table.drop_duplicates(["dataset", "method", "variant"], keep="last").reset_index()
    rows["text"] = with_intervals(rows)
    keys = list(dict.fromkeys(zip(rows["method"], rows["variant"], strict=True)))
    names = ["game", *(printed(*key) for key in keys), "data mean"]
    lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in names)}</tr>"]
    for dataset, game in rows.groupby("dataset", sort=False):
        best, cells = ahead(game), {}
        for index, row in game.iterrows():
            place = (str(dataset), row["method"], row["variant"])
            text = escape(row["text"]).replace(" [", "<br>[")
            text = f"<b>{text}</b>" if index == best else text
            cells[place[1:]] = f"{text}<br>{_links(place, told, films.get(place))}"
        last = figure(game["data_mean"].iloc[0])
        found = [str(dataset), *(cells.get(key, "") for key in keys), last]
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in found)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _links(place: Place, told: Path, film: Film | None) -> str:
    links = [_link("made from", told, anchor(place))]
    links += [_link("video", film.player)] if film else []
    return f'<span class="opens">{" · ".join(links)}</span>'


def _link(text: str, page: Path, part: str = "") -> str:
    """A link that shows another page of the report, at one of its parts."""
    address = f"results[{json.dumps(str(page))}].data_uri"
    if part:
        address += f" + {json.dumps('#' + part)}"
    script = f"javascript:app.setView({{content: 'html', contentPath: {address}}})"
    return f'<a href="{escape(script)}">{escape(text)}</a>'


def _wall(films: dict[Place, Film]) -> list[str]:
    """The beginning of every video, a row for each game."""
    room, lines = ROOM // len(films), []
    for game in dict.fromkeys(place[0] for place in films):
        lines.append(f'<div class="row"><div class="game">{escape(game)}</div>')
        for (_, method, variant), film in (
            (place, film) for place, film in films.items() if place[0] == game
        ):
            content = beginning(film.video, room, SECONDS)
            name = f"{escape(printed(method, variant))}, seed {film.run.seed}"
            whole = f'<span class="opens"> · {_link("whole", film.player)}</span>'
            lines.append(f"<figure>{pages.video(content)}")
            lines.append(f"<figcaption>{name}{whole}</figcaption></figure>")
        lines.append("</div>")
    title = f"The first {SECONDS} seconds of an episode of each"
    return [pages.heading(title, 2), '<div class="wall">', *lines, "</div>"]
