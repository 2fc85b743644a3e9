"""A video that is small enough for a page."""

from io import BytesIO
from pathlib import Path

import av

SHARE = 0.9
"""Of the bits that there is room for; an encoder does not hit a rate exactly."""


def fitting(path: Path, size: int) -> bytes:
    """The content of the MP4 file at `path`; where that is more than `size` bytes, of the same
    pictures at half their width and height, encoded at the rate for which there is room.
    """
    if path.stat().st_size <= size:
        return path.read_bytes()
    smaller = BytesIO()
    with av.open(path) as source, av.open(smaller, "w", format="mp4") as target:
        shown = source.streams.video[0]
        rate = shown.average_rate or 1
        stream = target.add_stream("libx264", rate=rate)
        stream.width, stream.height = (side // 4 * 2 for side in (shown.width, shown.height))
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = int(SHARE * size * 8 * rate / max(1, shown.frames))
        for frame in source.decode(shown):
            picture = frame.reformat(stream.width, stream.height)
            picture.pts, picture.time_base = frame.pts, frame.time_base
            target.mux(stream.encode(picture))
        target.mux(stream.encode())
    return smaller.getvalue()
