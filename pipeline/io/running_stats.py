"""Streaming statistics: memory does not grow with the data.

What shards and parts sum up has to merge to the same bits however the data are divided: `sums` are
kept as whole multiples of 1/SCALE, for whole numbers add up to the same in any order. Their range
is that of embeddings in half precision. `Moments` are of one process and take any numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

SMALLEST_STD = 1e-3
"""Whitening divides by no less: half precision resolves little more, rounding is not a signal."""
SCALE = float(1 << 24)
LARGEST = 1 << 62
"""Of a sum, in units of 1/SCALE: beyond it, one more could pass the end of 64 bits."""

Sums = dict[str, NDArray[np.int64]]
"""Name → whole numbers; those of disjoint rows may be added up."""


def sums(rows: NDArray[Any]) -> Sums:
    """Count (1,), sum (…) and squares (…) of rows (n, …)."""
    total, squares = _sums(rows)
    count = np.array([len(rows)], np.int64)
    return {"count": count, "sum": _whole(total), "squares": _whole(squares)}


def group_sums(rows: NDArray[Any], group: NDArray[np.int64], groups: int) -> Sums:
    """Count (groups,) and sum (groups, d) of the rows (n, d) of each group (n,)."""
    total = np.zeros((groups, *rows.shape[1:]))
    np.add.at(total, group, rows.astype(np.float64))
    return {"count": np.bincount(group, minlength=groups).astype(np.int64), "sum": _whole(total)}


def added(first: Mapping[str, NDArray[np.int64]], second: Mapping[str, NDArray[np.int64]]) -> Sums:
    """The sums of both; raises PipelineError where they leave the range of whole numbers."""
    total = {name: first[name] + second[name] if name in first else second[name] for name in second}
    if any(np.abs(values).max(initial=0) >= LARGEST for values in total.values()):
        raise _beyond()
    return {**first, **total}


def mean(total: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """(…) float32."""
    return (total["sum"] / SCALE / max(1, int(total["count"][0]))).astype(np.float32)


def std(total: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """(…) float32, at least SMALLEST_STD."""
    return _std(total["sum"] / SCALE, total["squares"] / SCALE, max(1, int(total["count"][0])))


def group_mean(
    total: Mapping[str, NDArray[np.int64]], default: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(groups, d) float32; `default` for a group without rows."""
    means = total["sum"] / SCALE / np.maximum(total["count"], 1)[:, None]
    return np.where(total["count"][:, None] > 0, means, default).astype(np.float32)


class Moments:
    """Mean and standard deviation over rows that arrive in batches."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = self._squares = np.zeros(())

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows (n, …)."""
        total, squares = _sums(rows)
        self._count += len(rows)
        self._sum, self._squares = self._sum + total, self._squares + squares

    @property
    def mean(self) -> NDArray[np.float32]:
        """(…) float32."""
        return (self._sum / max(1, self._count)).astype(np.float32)

    @property
    def std(self) -> NDArray[np.float32]:
        """(…) float32, at least SMALLEST_STD."""
        return _std(self._sum, self._squares, max(1, self._count))


def _sums(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum (…) and sum of squares (…) of rows (n, …)."""
    exact = rows.astype(np.float32)
    return exact.sum(0, dtype=np.float64), np.square(exact).sum(0, dtype=np.float64)


def _std(
    total: NDArray[np.float64], squares: NDArray[np.float64], count: int
) -> NDArray[np.float32]:
    variance = squares / count - (total / count) ** 2
    return np.asarray(np.maximum(np.sqrt(np.maximum(variance, 0)), SMALLEST_STD), np.float32)


def _beyond() -> PipelineError:
    return PipelineError(
        f"sums of embeddings beyond {LARGEST / SCALE:.3g}, or not finite; look at the regions and "
        "the encoder that they come from, and make them again"
    )


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    if not (np.abs(values) < LARGEST / SCALE).all():
        raise _beyond()
    return np.rint(values * SCALE).astype(np.int64)
