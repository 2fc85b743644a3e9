"""An episode as a video: frames, regions, score, return-to-go, and the actions that a policy chose
between, with the probability of each.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.environments import Environment
from pipeline.environments.action_space import ActionSpace
from pipeline.evaluation.rollout import Choice
from pipeline.evaluation.stillness import Stillness, limit
from pipeline.io.atomic import replacing

FRAMES_PER_SECOND = 15
"""Agent steps per second of Atari with frame skip 4."""
MIN_WIDTH = 640
FONT_SIZE, SMALL_FONT_SIZE = 16, 12
LINE = 24
"""Height of a line of the caption, in pixels."""
CELLS = 6
"""Actions side by side, each with its probability."""
WHITE, GREY, BLUE, YELLOW = (255, 255, 255), (120, 120, 120), (40, 90, 150), (255, 220, 0)
OPAQUE = 170
"""Of 255: of the region that has most of the attention."""

Picture = NDArray[np.uint8]
Shares = NDArray[np.float64]


class VideoRecorder:
    """Draws the steps of one episode as it is played.

    Regions are drawn where the observer offers `boxes(row)`, (n, 4) in [0, 1], brighter the more of
    the policy's attention they have. A caption is drawn where it offers `sentence(action)`;
    otherwise the caption is the action in words.
    """

    def __init__(
        self,
        steps: int,
        observer: Any,
        actions: ActionSpace,
        keep: Callable[[Picture], None],
        target_return: float | None = None,
    ) -> None:
        """`keep` is given each picture (H, W, 3) of the first `steps`; `target_return` is that of
        the episode, where the policy is asked for one.
        """
        self._left, self._kept = steps, 0
        self._observer, self._actions = observer, actions
        self._keep, self._target = keep, target_return
        self._stillness: Stillness | None = None
        self._limit: int | None = None

    def record(self, game: Environment, choice: Choice) -> None:
        """Draw a step and have it kept, until there are enough."""
        if not self._left:
            return
        self._follow(game)
        boxes = self._observer.boxes(choice.row) if hasattr(self._observer, "boxes") else ()
        frame = enlarged(game.frame(), boxes, choice.attention)
        self._keep(np.vstack((frame, self._caption(choice, frame.shape[1]))))
        self._left, self._kept = self._left - 1, self._kept + 1

    @property
    def summary(self) -> str:
        """What the video shows, in a line."""
        watched = self._stillness
        if watched is None or self._limit is None:
            return f"{self._kept} steps"
        stands = ": it stands still" if watched.longest >= self._limit else ""
        return (
            f"{self._kept} steps; nothing changes in {watched.still} of them, "
            f"in {watched.longest} in a row{stands}"
        )

    @property
    def _still_now(self) -> bool:
        return bool(self._stillness and self._limit and self._stillness.run >= self._limit)

    def _follow(self, game: Environment) -> None:
        if self._stillness is None:
            self._stillness, self._limit = Stillness(game), limit(game)
        else:
            self._stillness.step()

    def _caption(self, choice: Choice, width: int) -> Picture:
        """What stands below the frame."""
        words = [f"step {self._kept}", f"score {choice.score:g}"]
        if self._target is not None:
            words.append(f"return-to-go {self._target - choice.score:g}")
        if self._still_now:
            words.append("STANDS STILL")
        if hasattr(self._observer, "sentence"):
            said = str(self._observer.sentence(choice.action))
        else:
            said = self._actions.caption(choice.action)
        return caption(["   ".join(words), said], self._bars(choice), width)

    def _bars(self, choice: Choice) -> list[tuple[str, float, bool]]:
        """Name and probability of each action, and whether it was chosen."""
        if choice.probabilities is None:
            return []
        shown = zip(self._actions.names, choice.probabilities.tolist(), strict=True)
        return [(*each, i == choice.action) for i, each in enumerate(shown)]


@contextmanager
def writing_video(path: Path) -> Iterator[Callable[[Picture], None]]:
    """A function that adds a picture to the video at `path`, which is there when the block ends:
    whole, or not at all. Memory does not grow with its length.
    """
    with replacing(path) as temporary, av.open(temporary, "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": "30"})
        stream.pix_fmt, count = "yuv420p", 0

        def add(picture: Picture) -> None:
            nonlocal count
            if not count:
                stream.height, stream.width = picture.shape[:2]
            shown = av.VideoFrame.from_ndarray(picture, format="rgb24")
            shown.pts, shown.time_base = count, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(shown))
            count += 1

        yield add
        container.mux(stream.encode())


def enlarged(frame: Picture, boxes: Any, attention: Shares | None = None) -> Picture:
    """A frame at a size that people can see, with `boxes` (n, 4) in [0, 1] outlined, and shaded by
    their share of `attention` (n or more,), the largest most; sides are even, as H.264 wants.
    """
    height, width = frame.shape[:2]
    zoom = max(1, -(-MIN_WIDTH // width))
    size = (width * zoom + width * zoom % 2, height * zoom + height * zoom % 2)
    picture = Image.fromarray(frame).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
    picture = picture.crop((0, 0, *size))
    pen = ImageDraw.Draw(picture, "RGBA")
    corners = np.asarray(boxes, np.float64).reshape(-1, 4) * zoom * [width, height, width, height]
    for (x0, y0, x1, y1), opacity in zip(corners, opacities(attention, len(corners)), strict=True):
        box = x0 - 1, y0 - 1, max(x0, x1), max(y0, y1)
        pen.rectangle(box, fill=(*YELLOW, opacity), outline=WHITE)
    return np.asarray(picture, np.uint8)


def opacities(attention: Shares | None, count: int) -> list[int]:
    """Of the shading of `count` boxes, 0 … OPAQUE in proportion to their share of attention."""
    if attention is None or not 0 < count <= len(attention):  # one mean of all is of no region
        return [0] * count
    shares = attention[:count]
    shaded: list[int] = np.round(shares / max(shares.max(), 1e-12) * OPAQUE).astype(int).tolist()
    return shaded


def caption(lines: list[str], bars: list[tuple[str, float, bool]], width: int) -> Picture:
    """Lines of text, and below them a cell for each (name, share, outlined), filled by share."""
    rows = len(lines) + -(-len(bars) // CELLS)
    picture = Image.new("RGB", (width, rows * LINE))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    small = ImageFont.load_default(SMALL_FONT_SIZE)
    for row, text in enumerate(lines):
        pen.text((4, row * LINE + 2), text, fill=WHITE, font=font)
    cell = width // CELLS
    for i, (name, share, outlined) in enumerate(bars):
        x, y = i % CELLS * cell, (len(lines) + i // CELLS) * LINE
        box = (x + 1, y + 1, x + cell - 2, y + LINE - 2)
        pen.rectangle((*box[:2], x + 1 + (cell - 3) * share, box[3]), fill=BLUE)
        pen.rectangle(box, outline=WHITE if outlined else GREY)
        pen.text((x + 5, y + 4), f"{name[:10]} {share:.2f}", fill=WHITE, font=small)
    return np.asarray(picture, np.uint8)
