"""Proposals from the image itself: boxes of the colour-connected segments of synthetic frames
(method §1.2).

Works on runs (maximal horizontal stretches of one colour) instead of pixels: a frame of an Atari
game has about a thousand, so labelling a whole batch is one call of SciPy's connected components on
a graph of runs.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BACKGROUND_SHARE = 0.15
"""A segment that covers more of the frame than this is background, not an object."""
SMALLEST_AREA = 2
"""Segments of fewer pixels are noise of the screen's edge."""
GAP = 2
"""Pieces of one colour at most so many pixels apart are one segment: in a row where one other
colour lies between them, in a column whatever does.
"""


def propose(
    frames: NDArray[np.uint8], regions: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes of up to `regions` segments per frame.

    Where a frame has more segments, those stay whose area times the number of segments of their
    colour is least: the player, the enemies and the ball are small and differ in colour from the
    scenery.

    Args:
        frames: (B, H, W, 3) uint8 RGB.
        regions: N, the number of boxes per frame after padding.

    Returns:
        boxes (B, N, 4) float32 in [0, 1] as x0, y0, x1, y1, zero where padded; mask (B, N), True
        where real. Boxes of one frame are ordered from top to bottom, then from left to right.
    """
    batch, height, width, _ = frames.shape
    frame, boxes, area, colour = _segments(_colour_codes(frames))
    keep = (area >= SMALLEST_AREA) & (area <= BACKGROUND_SHARE * height * width)
    frame, boxes = _select(frame[keep], boxes[keep], area[keep], colour[keep], regions)
    slot = np.arange(len(frame)) - np.searchsorted(frame, frame)  # position within its frame
    padded = np.zeros((batch, regions, 4), np.float32)
    mask = np.zeros((batch, regions), np.bool_)
    padded[frame, slot] = boxes / np.array([width, height, width, height], np.float32)
    mask[frame, slot] = True
    return padded, mask


def _colour_codes(frames: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(B, H, W, 3) → (B, H, W): the three bytes of a colour as one integer.

    Four bytes are read at every pixel, and the next one's removed, which takes a tenth of the time
    of putting a fourth byte in.
    """
    flat = np.append(frames.reshape(-1), np.uint8(0))
    strides = tuple(3 * int(np.prod(frames.shape[axis:3])) for axis in (1, 2, 3))
    codes = np.ndarray(frames.shape[:3], "<i4", flat.data, strides=strides)
    return (codes & 0xFFFFFF).astype(np.int32, copy=False)


def _segments(
    codes: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """All segments: frame (S,), box (S, 4) in pixels, area (S,), colour (S,), ordered by frame.

    Runs of one colour belong together where they touch, across at most GAP rows of anything, and
    across one run of another colour of at most GAP pixels, so that hatched faces, digits and
    lettering count once.
    """
    height, width = codes.shape[1:]
    begins = np.ones(codes.shape, np.bool_)
    begins[:, :, 1:] = codes[:, :, 1:] != codes[:, :, :-1]
    first_pixel = np.flatnonzero(begins.ravel())
    length = np.diff(np.append(first_pixel, codes.size))
    run = np.repeat(np.arange(len(length), dtype=np.int32), length)
    row, x0 = np.divmod(first_pixel, width)
    colour = codes.reshape(-1)[first_pixel]
    graph = _graph(run, first_pixel, length, colour, codes.shape)
    segments, label = connected_components(graph, directed=False)

    frame, y = np.divmod(row, height)
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(segments))
    box = np.stack(
        [
            np.minimum.reduceat(x0[order], starts),
            np.minimum.reduceat(y[order], starts),
            np.maximum.reduceat((x0 + length)[order], starts),
            np.maximum.reduceat(y[order], starts) + 1,
        ],
        axis=1,
    )
    area = np.add.reduceat(length[order], starts)
    by_frame = np.argsort(frame[order][starts], kind="stable")
    member = order[starts][by_frame]  # one run of each segment
    return frame[member], box[by_frame], area[by_frame], colour[member]


def _graph(
    run: NDArray[np.int32],
    first_pixel: NDArray[np.int64],
    length: NDArray[np.int64],
    colour: NDArray[np.int32],
    shape: tuple[int, ...],
) -> coo_array:
    """Which runs belong together: a sparse matrix, runs × runs.

    Args:
        run: (B·H·W,) the run of each pixel; first_pixel, length, colour: of each run.
        shape: B, H, W.
    """
    _, height, width = shape
    row = first_pixel // width
    beside = np.flatnonzero(
        (colour[:-2] == colour[2:]) & (row[:-2] == row[2:]) & (length[1:-1] <= GAP)
    )
    links = [(beside, beside + 2)]
    for rows in range(1, GAP + 2):
        # Two runs of one colour that overlap, so many rows apart, meet first where one begins.
        for offset, inside in (
            (-rows * width, row % height >= rows),
            (rows * width, row % height < height - rows),
        ):
            here = np.flatnonzero(inside)
            there = run[first_pixel[here] + offset]
            same = colour[here] == colour[there]
            links.append((here[same], there[same]))
    first, second = (np.concatenate(ends) for ends in zip(*links, strict=True))
    return coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(len(colour),) * 2)


def _select(
    frame: NDArray[np.int64],
    boxes: NDArray[np.int64],
    area: NDArray[np.int64],
    colour: NDArray[np.int32],
    regions: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep at most `regions` segments per frame (small ones of rare colours), in reading order."""
    _, kind, copies = np.unique(
        np.stack([frame, colour], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    rank = np.lexsort((boxes[:, 0], boxes[:, 1], area * copies[kind], frame))
    place = np.empty(len(frame), np.int64)
    place[rank] = np.arange(len(frame)) - np.searchsorted(frame, frame[rank])
    kept = np.flatnonzero(place < regions)
    kept = kept[np.lexsort((boxes[kept, 0], boxes[kept, 1], frame[kept]))]
    return frame[kept], boxes[kept]
