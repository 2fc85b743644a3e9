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


def test_parts_of_a_video_become_a_moving_picture(tmp_path: Path) -> None:
    film_clip = script("film_clip")
    with av.open(tmp_path / "rollout.mp4", "w") as target:
        stream = target.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 64, 132, "yuv420p"  # a frame of 84, a caption
        for step in range(20):
            grey = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], 3, axis=2)
            grey = np.repeat(grey, 132, axis=0)
            grey[:, :32] = 25 * min(step, 10)  # what is looked at; the other half brings a palette
            target.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        target.mux(stream.encode())
    taken = film_clip.part(film_clip.filmed(tmp_path / "rollout.mp4"), 4, 2, 4)
    film_clip.clip(taken, tmp_path / "a.gif", 15)
    with Image.open(tmp_path / "a.gif") as picture:
        assert (picture.size[0], picture.n_frames) == (film_clip.WIDTH, 4)
        shown = []
        for index in range(picture.n_frames):
            picture.seek(index)
            shown.append(picture.convert("L").getpixel((50, 100)))
    assert min(np.diff(shown)) > 0
    (late,) = film_clip.part(film_clip.filmed(tmp_path / "rollout.mp4"), 19, 1, 1)
    held = film_clip.part(film_clip.filmed(tmp_path / "rollout.mp4"), 19, 1, 3)
    assert [np.array_equal(np.asarray(each), np.asarray(late)) for each in held] == [True] * 3
