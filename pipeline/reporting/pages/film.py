"""A video that is small enough for a page."""

from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import av

SHARE = 0.9
"""Of the bits that there is room for; an encoder does not hit a rate exactly."""


def fitting(path: Path, size: int) -> bytes:
    """The content of the MP4 file at `path`; where that is more than `size` bytes, of the same
    pictures at half their width and height, encoded at the rate for which there is room.
    """
    return path.read_bytes() if path.stat().st_size <= size else _smaller(path, size)


def beginning(path: Path, size: int, seconds: int) -> bytes:
    """The first seconds of the MP4 file at `path` in at most about `size` bytes, likewise."""
    return _smaller(path, size, seconds)


def _smaller(path: Path, size: int, seconds: int | None = None) -> bytes:
    """An MP4 file of the pictures at half their width and height, at the rate that fits, or less
    where they need less.
    """
    smaller = BytesIO()
    with av.open(path) as source, av.open(smaller, "w", format="mp4") as target:
        shown = source.streams.video[0]
        rate = shown.average_rate or Fraction(1)
        pictures = min(shown.frames, round(seconds * rate) if seconds else shown.frames)
        stream = target.add_stream("libx264", rate=rate)
        stream.width, stream.height = (side // 4 * 2 for side in (shown.width, shown.height))
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = int(SHARE * size * 8 * rate / max(1, pictures))
        for frame in islice(source.decode(shown), pictures):
            picture = frame.reformat(stream.width, stream.height)
            picture.pts, picture.time_base = frame.pts, frame.time_base
            target.mux(stream.encode(picture))
        target.mux(stream.encode())
    return smaller.getvalue()
