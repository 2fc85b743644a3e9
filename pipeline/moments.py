"""Streaming statistics: memory does not grow with the data, and no grouping of it matters.

Sums are kept as whole multiples of 1/SCALE. Whole numbers add up to the same in any order, so that
what shards or parts have summed up of the same batches merges to the same bits.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST_STD = 1e-3
"""Whitening divides by no less: half precision resolves little more, rounding is not a signal."""
SCALE = float(1 << 24)
LARGEST = 1 << 62
"""Of a sum, in units of 1/SCALE: beyond it, one more could pass the end of 64 bits."""

Sums = dict[str, NDArray[np.int64]]
"""Name → whole numbers; those of disjoint rows may be added up."""


def sums(rows: NDArray[Any]) -> Sums:
    """Count (1,), sum (…) and squares (…) of rows (n, …)."""
    exact = rows.astype(np.float32)
    return {
        "count": np.array([len(rows)], np.int64),
        "sum": _whole(exact.sum(0, dtype=np.float64)),
        "squares": _whole(np.square(exact).sum(0, dtype=np.float64)),
    }


def group_sums(rows: NDArray[Any], group: NDArray[np.int64], groups: int) -> Sums:
    """Count (groups,) and sum (groups, d) of the rows (n, d) of each group (n,)."""
    total = np.zeros((groups, *rows.shape[1:]))
    np.add.at(total, group, rows.astype(np.float64))
    return {"count": np.bincount(group, minlength=groups).astype(np.int64), "sum": _whole(total)}


def added(first: Mapping[str, NDArray[np.int64]], second: Mapping[str, NDArray[np.int64]]) -> Sums:
    """The sums of both; raises OverflowError where they leave the range of whole numbers."""
    total = {name: first[name] + second[name] if name in first else second[name] for name in second}
    if any(np.abs(values).max(initial=0) >= LARGEST for values in total.values()):
        raise OverflowError(f"statistics beyond {LARGEST / SCALE:g}")
    return {**first, **total}


def mean(total: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """(…) float32."""
    return (total["sum"] / SCALE / max(1, int(total["count"][0]))).astype(np.float32)


def std(total: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """(…) float32, at least SMALLEST_STD."""
    count = max(1, int(total["count"][0]))
    variance = total["squares"] / SCALE / count - (total["sum"] / SCALE / count) ** 2
    return np.asarray(np.maximum(np.sqrt(np.maximum(variance, 0)), SMALLEST_STD), np.float32)


def group_mean(
    total: Mapping[str, NDArray[np.int64]], default: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(groups, d) float32; `default` for a group without rows."""
    means = total["sum"] / SCALE / np.maximum(total["count"], 1)[:, None]
    return np.where(total["count"][:, None] > 0, means, default).astype(np.float32)


class Moments:
    """Mean and standard deviation over rows that arrive in batches."""

    def __init__(self) -> None:
        self._total: Sums = {}

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows (n, …)."""
        self._total = added(self._total, sums(rows))

    @property
    def mean(self) -> NDArray[np.float32]:
        """(…) float32."""
        return mean(self._total)

    @property
    def std(self) -> NDArray[np.float32]:
        """(…) float32, at least SMALLEST_STD."""
        return std(self._total)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    if not (np.abs(values) < LARGEST / SCALE).all():
        raise OverflowError(f"statistics beyond {LARGEST / SCALE:g}, or not finite")
    return np.rint(values * SCALE).astype(np.int64)
