"""Decoded blocks of an artefact's arrays, kept in memory up to a bound and gathered row by row.

An array that fits beside those already kept lives whole in one piece of memory, filled block by
block as rows are asked for, so that a gather costs one copy; of larger arrays the blocks used last
are kept. The part of `artefact.py` that knows nothing of files.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Layout:
    """What the cache must know of an array."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    block_rows: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Decode(Protocol):
    """Reads and verifies one block."""

    def __call__(self, name: str, block: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Block number `block` of array `name`, written into `out` if given."""
        ...


@dataclass
class BlockCache:
    """Gathers rows through blocks that `decode` supplies; `bound` is in bytes."""

    bound: int
    decode: Decode
    _whole: dict[str, "_WholeArray"] = field(default_factory=dict)
    _blocks: OrderedDict[tuple[str, int], NDArray[Any]] = field(default_factory=OrderedDict)
    _whole_bytes: int = 0
    _block_bytes: int = 0

    def gather(self, array: Layout, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows (n,) of an array, each within it; (n, *row shape)."""
        whole = self._keep_whole(array)
        if whole is None:
            return self._gather_blocks(array, rows)
        for block in whole.missing(rows):
            self.decode(array.name, block, whole.block(block))
            whole.loaded[block] = True
        return whole.rows.take(rows, axis=0)

    def clear(self) -> None:
        """Forget everything."""
        self._whole.clear()
        self._blocks.clear()
        self._whole_bytes = self._block_bytes = 0

    def _keep_whole(self, array: Layout) -> "_WholeArray | None":
        """The array's place in memory, if it fits the bound beside those already kept."""
        if array.name not in self._whole:
            if self._whole_bytes + array.nbytes > self.bound:
                return None
            self._whole[array.name] = _WholeArray(array)
            self._whole_bytes += array.nbytes
            self._evict()
        return self._whole[array.name]

    def _gather_blocks(self, array: Layout, rows: NDArray[np.int64]) -> NDArray[Any]:
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        blocks, begins = np.unique(ordered // array.block_rows, return_index=True)
        ends = np.append(begins, len(rows))[1:]
        out = np.empty((len(rows), *array.shape[1:]), array.dtype)
        for block, begin, end in zip(blocks.tolist(), begins, ends, strict=True):
            within = ordered[begin:end] - block * array.block_rows
            out[order[begin:end]] = self._block(array.name, block)[within]
        return out

    def _block(self, name: str, block: int) -> NDArray[Any]:
        if (name, block) in self._blocks:
            self._blocks.move_to_end((name, block))
            return self._blocks[name, block]
        decoded = self._blocks[name, block] = self.decode(name, block)
        self._block_bytes += decoded.nbytes
        self._evict()
        return decoded

    def _evict(self) -> None:
        # the last block stays even beyond the bound: it is being read
        while self._whole_bytes + self._block_bytes > self.bound and len(self._blocks) > 1:
            self._block_bytes -= self._blocks.popitem(last=False)[1].nbytes


class _WholeArray:
    """An array kept in one piece, filled block by block as rows are asked for."""

    def __init__(self, array: Layout) -> None:
        self.rows = np.empty(array.shape, array.dtype)
        self.loaded = np.zeros(-(-array.shape[0] // array.block_rows), np.bool_)
        self._block_rows = array.block_rows

    def block(self, block: int) -> NDArray[Any]:
        """The place of one block (a view)."""
        return self.rows[block * self._block_rows : (block + 1) * self._block_rows]

    def missing(self, rows: NDArray[np.int64]) -> list[int]:
        """Blocks that `rows` need and that have not been decoded yet."""
        if self.loaded.all():
            return []
        blocks = np.unique(rows // self._block_rows)
        return [int(block) for block in blocks[~self.loaded[blocks]]]
