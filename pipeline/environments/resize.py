"""Pictures shrunk by area: each new pixel is the mean of the area that it covers, computed in whole
numbers, so that the result depends neither on the batch nor on the number of threads.
"""

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray


def area_sums(
    images: NDArray[np.floating] | NDArray[np.uint8], size: int
) -> tuple[NDArray[np.floating], int]:
    """Shrink images (B, H, W) of whole numbers up to 255 to (B, size, size): the sum over the area
    of each new pixel, exact, and that area; their quotient is the mean.
    """
    rows, columns = _overlaps(images.shape[1], size), _overlaps(images.shape[2], size)
    area = int(rows[0].sum() * columns[0].sum())
    # sums of whole numbers below 2^24 are exact in float32, in any order
    exact = np.float32 if 255 * area < 1 << 24 else np.float64
    summed = rows.astype(exact) @ images.astype(exact)  # (B, size, W)
    return summed @ columns.astype(exact).T, area  # (B, size, size)


@lru_cache
def _overlaps(length: int, size: int) -> NDArray[np.int64]:
    """(size, length): how much of each old pixel each new one covers, in whole units."""
    divisor = gcd(length, size)
    old, new = size // divisor, length // divisor  # lengths of a pixel before and after, in units
    first = np.arange(size)[:, None] * new  # (size, 1)
    begin = np.arange(length)[None, :] * old  # (1, length)
    overlap = np.minimum(first + new, begin + old) - np.maximum(first, begin)  # (size, length)
    return overlap.clip(min=0)
