"""The first steps of an episode as a video: frames, their regions and the prompt of the chosen
action.
"""

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.environments import Environment, Frame
from pipeline.environments.action_space import Action, ActionSpace
from pipeline.evaluation.stillness import Stillness, limit
from pipeline.io.atomic import replacing

FRAMES_PER_SECOND = 15
"""Agent steps per second of Atari with frame skip 4."""
MIN_WIDTH = 320
CAPTION_HEIGHT = 20


class VideoRecorder:
    """Collects frames of one episode as it is played and writes them as H.264.

    Regions are drawn where the observer offers `boxes(row)`, (n, 4) in [0, 1], and a caption where
    it offers `sentence(action)`; otherwise the caption is the action in words.
    """

    def __init__(self, steps: int, observer: Any, actions: ActionSpace) -> None:
        self._steps = steps
        self._observer = observer
        self._actions = actions
        self._pictures: list[NDArray[np.uint8]] = []
        self._stillness: Stillness | None = None
        self._limit: int | None = None

    def record(self, game: Environment, row: int, action: Action) -> None:
        """Draw and keep a step, until `steps` are kept."""
        if len(self._pictures) >= self._steps:
            return
        self._follow(game)
        boxes = self._observer.boxes(row) if hasattr(self._observer, "boxes") else ()
        if hasattr(self._observer, "sentence"):
            caption = str(self._observer.sentence(action))
        else:
            caption = self._actions.caption(action)
        if self._still_now:
            caption = f"STANDS STILL. {caption}"
        self._pictures.append(draw(game.frame(), boxes, caption))

    @property
    def summary(self) -> str:
        """What the video shows, in a line."""
        count, watched = len(self._pictures), self._stillness
        if watched is None or self._limit is None:
            return f"{count} steps"
        stands = ": it stands still" if watched.longest >= self._limit else ""
        return (
            f"{count} steps; nothing changes in {watched.still} of them, "
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

    def write(self, path: Path) -> None:
        """Write the video, whole or not at all, after at least one step was recorded."""
        height, width = self._pictures[0].shape[:2]
        with replacing(path) as temporary, av.open(temporary, "w") as container:
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": "23"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for picture in self._pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())


def draw(frame: Frame, boxes: Any, caption: str) -> NDArray[np.uint8]:
    """Enlarge a frame, outline `boxes` (n, 4) in [0, 1], and write `caption` below; sides are even,
    as H.264 wants.
    """
    height, width = frame.shape[:2]
    zoom = max(1, -(-MIN_WIDTH // width))
    size = (width * zoom + width * zoom % 2, height * zoom + height * zoom % 2)
    picture = Image.new("RGB", (size[0], size[1] + CAPTION_HEIGHT))
    picture.paste(
        Image.fromarray(frame).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
    )
    pen = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in (
        np.asarray(boxes, np.float64).reshape(-1, 4) * zoom * [width, height, width, height]
    ):
        pen.rectangle((x0 - 1, y0 - 1, max(x0, x1), max(y0, y1)), outline=(255, 255, 255))
    pen.text((4, size[1] + 4), caption, fill=(255, 255, 255))
    return np.asarray(picture, np.uint8)
