"""Streaming statistics: memory does not grow with the data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST_STD = 1e-3
"""Whitening divides by no less: half precision resolves little more, rounding is not a signal."""


class Moments:
    """Mean and standard deviation over rows that arrive in batches."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: NDArray[np.float64] | float = 0.0
        self._squares: NDArray[np.float64] | float = 0.0

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows (n, …)."""
        exact = rows.astype(np.float32)
        self._count += len(rows)
        self._sum = self._sum + exact.sum(0, dtype=np.float64)
        self._squares = self._squares + np.square(exact).sum(0, dtype=np.float64)

    @property
    def mean(self) -> NDArray[np.float32]:
        """(…) float32."""
        return np.asarray(self._sum / max(1, self._count), np.float32)

    @property
    def std(self) -> NDArray[np.float32]:
        """(…) float32, at least SMALLEST_STD."""
        mean = np.asarray(self._sum) / max(1, self._count)
        variance = np.asarray(self._squares) / max(1, self._count) - mean**2
        return np.asarray(np.maximum(np.sqrt(np.maximum(variance, 0)), SMALLEST_STD), np.float32)


class MeanPerGroup:
    """Mean over the rows of each of several groups."""

    def __init__(self, groups: int) -> None:
        self._count = np.zeros(groups, np.int64)
        self._sum: NDArray[np.float64] | None = None

    def add(self, rows: NDArray[Any], group: NDArray[np.int64]) -> None:
        """Add rows (n, d) of groups (n,)."""
        if self._sum is None:
            self._sum = np.zeros((len(self._count), *rows.shape[1:]))
        np.add.at(self._sum, group, rows.astype(np.float64))
        self._count += np.bincount(group, minlength=len(self._count))

    def mean(self, default: NDArray[np.float32]) -> NDArray[np.float32]:
        """(groups, d) float32; `default` for a group without rows."""
        assert self._sum is not None, "no rows were added"
        means = self._sum / np.maximum(self._count, 1)[:, None]
        return np.where(self._count[:, None] > 0, means, default).astype(np.float32)
