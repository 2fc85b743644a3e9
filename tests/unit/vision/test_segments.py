"""Proposals against slow references: pixel-wise union-find, and SciPy's labelling without gaps."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.vision.detectors import _segments
from pipeline.vision.detectors._segments import BACKGROUND_SHARE, GAP, SMALLEST_AREA, propose

Segment = tuple[int, int, int, int, int, int]  # x0, y0, x1, y1, area, colour
GREY = (40, 40, 40)
RED = (200, 30, 30)
BLUE = (30, 30, 200)


def noise(images: int, height: int = 11, width: int = 13, colours: int = 5) -> NDArray[np.uint8]:
    generator = np.random.default_rng(0)
    palette = generator.integers(0, 256, (colours, 3), dtype=np.uint8)
    return palette[generator.integers(colours, size=(images, height, width))]


def blank(height: int = 20, width: int = 30) -> NDArray[np.uint8]:
    return np.full((1, height, width, 3), GREY, np.uint8)


def segments(frames: NDArray[np.uint8]) -> list[list[Segment]]:
    found: list[list[Segment]] = [[] for _ in frames]
    for frame, box, area, colour in zip(
        *_segments._segments(_segments._colour_codes(frames)), strict=True
    ):
        found[frame].append((*box.tolist(), int(area), int(colour)))
    return found


def bounded(pixels: list[tuple[int, int]], colour: int) -> Segment:
    rows, columns = zip(*pixels, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1, len(pixels), colour


def by_loop(codes: NDArray[np.int32]) -> list[Segment]:
    """Flood fill of one frame, pixel by pixel, in the order of each segment's first pixel."""
    height, width = codes.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    near: dict[tuple[int, int], list[tuple[int, int]]] = {pixel: [] for pixel in pixels}
    for y, x in pixels:
        for step in range(1, GAP + 2):
            between = codes[y, x + 1 : x + step]
            across = x + step < width and len(set(between.tolist())) <= 1
            if across and codes[y, x] == codes[y, x + step]:
                near[y, x].append((y, x + step))
                near[y, x + step].append((y, x))
            if y + step < height and codes[y, x] == codes[y + step, x]:
                near[y, x].append((y + step, x))
                near[y + step, x].append((y, x))
    found, seen = [], set()
    for start in pixels:
        todo, members = [start], []
        while todo:
            pixel = todo.pop()
            if pixel not in seen:
                seen.add(pixel)
                members.append(pixel)
                todo += near[pixel]
        if members:
            found.append(bounded(members, int(codes[start])))
    return found


def selected(found: list[Segment], size: int, regions: int) -> list[tuple[int, ...]]:
    real = [part for part in found if SMALLEST_AREA <= part[4] <= BACKGROUND_SHARE * size]
    colours = [part[5] for part in real]
    weight = [part[4] * colours.count(part[5]) for part in real]
    rank = sorted(range(len(real)), key=lambda i: (weight[i], real[i][1], real[i][0]))
    kept = sorted(rank[:regions])
    return sorted((real[i][:4] for i in kept), key=lambda box: (box[1], box[0]))


def pixels_of(boxes: NDArray[np.float32], frames: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    height, width = frames.shape[1:3]
    return [tuple(box) for box in np.rint(boxes * [width, height, width, height]).astype(int)]


def test_segments_equal_a_flood_fill() -> None:
    frames = noise(60)
    codes = _segments._colour_codes(frames)
    for found, frame in zip(segments(frames), codes, strict=True):
        assert found == by_loop(frame)


def test_without_gaps_segments_are_connected_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_segments, "GAP", 0)
    frames = noise(60, colours=3)
    codes = _segments._colour_codes(frames)
    for found, frame in zip(segments(frames), codes, strict=True):
        expected = []
        for colour in np.unique(frame).tolist():
            labels, _ = ndimage.label(frame == colour)
            for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
                box = columns.start, rows.start, columns.stop, rows.stop
                expected.append((*box, int((labels == index).sum()), colour))
        assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("regions", [1, 3, 100])
def test_the_boxes_kept_equal_a_plain_sort(regions: int) -> None:
    frames = noise(60, colours=9)
    boxes, mask = propose(frames, regions)
    counts = []
    for row, codes in enumerate(_segments._colour_codes(frames)):
        expected = selected(by_loop(codes), codes.size, regions)
        assert pixels_of(boxes[row][mask[row]], frames) == expected
        assert mask[row].tolist() == [slot < len(expected) for slot in range(regions)]
        assert not boxes[row][~mask[row]].any()
        counts.append(len(expected))
    assert regions == 100 or max(counts) == regions


@pytest.mark.parametrize(("apart", "pieces"), [(0, 1), (GAP, 1), (GAP + 1, 2)])
def test_pieces_of_one_colour_join_across_a_gap(apart: int, pieces: int) -> None:
    across, down = blank(), blank()
    across[0, 5, [4, 5, 6 + apart, 7 + apart]] = RED
    down[0, [4, 5, 6 + apart, 7 + apart], 5] = RED
    for frames in (across, down):
        assert propose(frames, 4)[1].sum() == pieces


def test_a_gap_of_two_colours_parts_a_row_but_not_a_column() -> None:
    across, down = blank(), blank()
    across[0, 5, [4, 5, 8, 9]] = RED
    across[0, 5, 6] = BLUE
    down[0, [4, 5, 8, 9], 5] = RED
    down[0, 6, 5] = BLUE
    assert [int(propose(frames, 4)[1].sum()) for frames in (across, down)] == [2, 1]


def test_of_too_many_segments_the_small_ones_of_rare_colours_stay() -> None:
    frames = blank(40, 60)
    for x in range(0, 60, 8):
        frames[0, 2:4, x : x + 3] = BLUE  # scenery: eight bricks
    frames[0, 20:23, 10:14] = RED
    boxes, mask = propose(frames, 1)
    assert mask.all()
    assert pixels_of(boxes[0], frames) == [(10, 20, 14, 23)]


def test_a_blank_frame_has_no_region() -> None:
    boxes, mask = propose(np.concatenate([blank(), blank()]), 5)
    assert boxes.shape == (2, 5, 4)
    assert not boxes.any()
    assert not mask.any()


def test_a_frame_alone_gives_what_it_gives_in_a_batch() -> None:
    frames = noise(20)
    boxes, mask = propose(frames, 6)
    again = propose(frames, 6)
    assert boxes.tobytes() == again[0].tobytes()
    assert mask.tobytes() == again[1].tobytes()
    for row in range(len(frames)):
        alone, real = propose(frames[row : row + 1], 6)
        np.testing.assert_array_equal(alone[0], boxes[row])
        np.testing.assert_array_equal(real[0], mask[row])


def test_frames_smaller_than_the_gap_work() -> None:
    assert not propose(blank(1, 1), 3)[1].any()
    assert not propose(blank(2, 2), 3)[1].any()
