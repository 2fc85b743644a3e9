"""The pictures of the first page can be made again, and are those of the rules as they are."""

import importlib.util
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.workflow
def test_the_rules_are_drawn_as_they_are() -> None:
    draw_rules = script("draw_rules")
    drawn = draw_rules.drawn(draw_rules.rulegraph(), draw_rules.rules())
    assert draw_rules.PICTURE.read_text(encoding="utf-8") == drawn, "run python docs/draw_rules.py"


def test_arrows_that_follow_from_others_are_left_out() -> None:
    draw_rules = script("draw_rules")
    edges = {("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"), ("a", "d"), ("a", "e")}
    assert draw_rules.reduced(edges) == {("a", "b"), ("b", "c"), ("c", "d"), ("a", "e")}


def test_a_part_of_a_video_becomes_a_moving_picture(tmp_path: Path) -> None:
    with av.open(tmp_path / "rollout.mp4", "w") as target:
        stream = target.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for step in range(20):
            grey = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], 3, axis=2)
            grey = np.repeat(grey, 48, axis=0)
            grey[:, :32] = 25 * min(step, 10)  # what is looked at; the other half brings a palette
            target.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        target.mux(stream.encode())
    film_clip = script("film_clip")
    film_clip.clip(film_clip.frames(tmp_path / "rollout.mp4", 4, 12, 2), tmp_path / "a.gif", 15)
    with Image.open(tmp_path / "a.gif") as picture:
        assert (picture.size, picture.n_frames) == ((32, 24), 4)
        shown = []
        for index in range(picture.n_frames):
            picture.seek(index)
            shown.append(picture.convert("L").getpixel((8, 12)))
    assert min(np.diff(shown)) > 0
