"""A part of a rollout video as a moving picture for a page → docs/images/rollout.gif.

python docs/film_clip.py results/runs/breakout/more3s/default/seed-0/rollout.mp4
"""

import argparse
from pathlib import Path

import av
from PIL import Image

PICTURE = Path(__file__).parent / "images" / "rollout.gif"
COLOURS = 32


def frames(video: Path, first: int, last: int, every: int) -> list[Image.Image]:
    """Each `every`-th step of the video from `first` to before `last`, at half its size."""
    found = []
    with av.open(video) as source:
        for step, frame in enumerate(source.decode(video=0)):
            if step >= last:
                break
            if step >= first and (step - first) % every == 0:
                picture = frame.to_image()
                found.append(picture.resize((picture.width // 2, picture.height // 2)))
    return found


def clip(found: list[Image.Image], picture: Path, rate: float) -> None:
    """Write the pictures as a GIF that repeats, of one palette, `rate` a second."""
    palette = found[len(found) // 2].quantize(COLOURS)
    first, *further = (each.quantize(palette=palette, dither=Image.Dither.NONE) for each in found)
    first.save(
        picture, save_all=True, append_images=further, duration=round(1000 / rate), loop=0,
        optimize=True,
    )  # fmt: skip


def main() -> None:
    """Read the video, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--first", type=int, default=200, help="step to begin with")
    parser.add_argument("--last", type=int, default=680, help="step to end before")
    parser.add_argument("--every", type=int, default=2, help="take one step of so many")
    parser.add_argument("--rate", type=float, default=15, help="pictures in a second")
    told = parser.parse_args()
    clip(frames(told.video, told.first, told.last, told.every), PICTURE, told.rate)


if __name__ == "__main__":
    main()
