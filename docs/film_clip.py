"""Parts of videos and of the data, side by side, as a moving picture → docs/images/rollout.gif.

python docs/film_clip.py results      # where Table 1 and its videos are

A column is a game; below each other are MORE-3S, Decision Transformer and a recorded episode.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.data import trajectories
from pipeline.evaluation.video import LINE, caption, enlarged
from pipeline.features.prompts import Prompts
from pipeline.io.artefact import Artefact
from pipeline.reporting.method_names import printed

PICTURE = Path(__file__).parent / "images" / "rollout.gif"
GAMES = "breakout", "pong", "qbert", "seaquest"
METHODS = "more3s", "decision_transformer"
SEED, EPISODE = 0, 0
COLOURS, WIDTH, TITLE = 64, 200, 16
TOLD = 380
"""Pixels of a caption that are shown: what is right of them is empty."""


def filmed(video: Path) -> Iterator[Image.Image]:
    """Each step of a video."""
    with av.open(video) as source:
        for frame in source.decode(video=0):
            yield frame.to_image()


def recorded(results: Path, game: str) -> Iterator[Image.Image]:
    """Each step of a recorded episode, drawn as a video would be."""
    data = trajectories.load(results / f"trajectories/{game}.h5")
    frames = Artefact(results / f"frames/{game}.h5", "frames")
    prompts = Prompts.read(results / f"prompts/{game}/original.json")
    places, first, score = frames.read("step_frame"), int(data.starts[EPISODE]), 0.0
    for step in range(first, first + int(data.episode_length[EPISODE])):
        shown = enlarged(frames.gather("frames", places[step : step + 1])[0], ())
        lines = [
            f"step {step - first}   score {score:g}",
            *prompts.say(data.actions[step : step + 1]),
        ]
        yield Image.fromarray(np.vstack((shown, caption(lines, [], shown.shape[1]))))
        score += float(data.rewards[step])


def tile(picture: Image.Image) -> Image.Image:
    """A frame as wide as it is here, with two lines of its caption."""
    top = picture.width * 210 // 160
    frame = picture.crop((0, 0, picture.width, top))
    frame = frame.resize((WIDTH, WIDTH * 210 // 160), Image.Resampling.BOX)
    said = picture.crop((0, top, TOLD, top + 2 * LINE))
    said = said.resize((WIDTH, 2 * LINE * WIDTH // TOLD), Image.Resampling.LANCZOS)
    return stacked([frame, said])


def stacked(rows: list[Image.Image]) -> Image.Image:
    """Pictures of one width below each other."""
    return Image.fromarray(np.vstack([np.asarray(each.convert("RGB")) for each in rows]))


def title(text: str, width: int) -> Image.Image:
    """A line of text in a bar."""
    bar = Image.new("RGB", (width, TITLE), (40, 40, 40))
    font = ImageFont.load_default(TITLE - 4)
    ImageDraw.Draw(bar).text((width // 2, 1), text, font=font, anchor="ma")
    return bar


def part(steps: Iterator[Image.Image], first: int, every: int, count: int) -> list[Image.Image]:
    """`count` tiles from step `first` on; of an episode that ends before, its last goes on."""
    found = [tile(each) for each in islice(steps, first, first + every * count, every)]
    return found + found[-1:] * (count - len(found))


def clip(found: list[Image.Image], picture: Path, rate: float) -> None:
    """Write the pictures as a GIF that repeats, of one palette, `rate` a second."""
    palette = found[len(found) // 2].quantize(COLOURS)
    first, *further = (each.quantize(palette=palette, dither=Image.Dither.NONE) for each in found)
    first.save(
        picture, save_all=True, append_images=further, duration=round(1000 / rate), loop=0,
        optimize=True,
    )  # fmt: skip


def main() -> None:
    """Read the videos and the data, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--first", type=int, default=100, help="step to begin with")
    parser.add_argument("--every", type=int, default=3, help="take one step of so many")
    parser.add_argument("--count", type=int, default=120, help="pictures")
    parser.add_argument("--rate", type=float, default=8, help="pictures in a second")
    told = parser.parse_args()
    taken = told.first, told.every, told.count
    rows = []
    for method in METHODS:
        run = f"{method}/default/seed-{SEED}/rollout.mp4"
        films = [part(filmed(told.results / f"runs/{game}/{run}"), *taken) for game in GAMES]
        rows.append((printed(method), films))
    rows.append(("recorded", [part(recorded(told.results, game), *taken) for game in GAMES]))
    width = WIDTH * len(GAMES)
    pictures = [
        stacked(
            [
                each
                for name, films in rows
                for each in (title(name, width), Image.fromarray(np.hstack([f[i] for f in films])))
            ]
        )
        for i in range(told.count)
    ]
    clip(pictures, PICTURE, told.rate)


if __name__ == "__main__":
    main()
