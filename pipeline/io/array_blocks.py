"""An artefact's array in HDF5: how its blocks are written, and whether the header describes what
the file holds.
"""

import os
import zlib
from collections.abc import Mapping
from typing import Any

# Blosc writes its inner blocks as its threads finish them: one thread, same bytes.
os.environ["BLOSC_NTHREADS"] = "1"

import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from pipeline.io import memory

BLOCK_BYTES = 1 << 20  # raw bytes of a block, at most (a single larger row is a block of its own)
# Blosc rather than Blosc2: with blocks of more than one axis the latter is 2 to 4 times slower
CODEC = hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE)

CODEC_SHARE = 4
"""Of what the codec takes beside a block to that block; where it cannot have it, it ends the
process by SIGSEGV, or says that the block is damaged.
"""


def fault(file: Any, name: str, entry: Mapping[str, Any]) -> str | None:
    """How the array of an open file differs from its entry in the header; None if it does not, so
    that what is allocated by the entry is no more than the file's blocks hold.
    """
    try:
        stored = file[f"arrays/{name}"]
        said = (entry["rows"], *entry["row_shape"])
        blocks = -(-entry["rows"] // entry["block_rows"])
        if stored.shape != said or stored.dtype != np.dtype(entry["dtype"]):
            return f"{said} {entry['dtype']} promised, {stored.shape} {stored.dtype} there"
        if stored.chunks != (entry["block_rows"], *entry["row_shape"]):
            return f"blocks of {entry['block_rows']} rows promised, {stored.chunks} there"
        there = stored.id.get_num_chunks()
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None if there == blocks else f"{blocks} blocks promised, {there} there"


class GrowingArray:
    """An array being written: rows collect in a buffer of one block, full blocks go to the file."""

    def __init__(
        self, file: Any, name: str, row_shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        row_bytes = max(1, int(np.prod(row_shape, dtype=np.int64)) * dtype.itemsize)
        length = max(1, BLOCK_BYTES // row_bytes)
        self._file, self._name = file, name
        self._buffer = np.zeros((length, *row_shape), dtype)
        self._filled = 0
        self._rows = 0
        self._checksums: list[int] = []
        self._dataset = file.create_dataset(
            f"arrays/{name}",
            shape=(0, *row_shape),
            maxshape=(None, *row_shape),
            chunks=self._buffer.shape,
            dtype=dtype,
            track_times=False,
            **CODEC,
        )

    @property
    def room(self) -> int:
        """Rows until the next block is full."""
        return len(self._buffer) - self._filled

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows; ValueError if their shape or type is another."""
        if rows.shape[1:] != self._buffer.shape[1:] or rows.dtype != self._buffer.dtype:
            raise ValueError(
                f"{self._name}: rows {rows.shape[1:]} {rows.dtype}, "
                f"expected {self._buffer.shape[1:]} {self._buffer.dtype}"
            )
        while len(rows):
            piece, rows = rows[: self.room], rows[self.room :]
            self._buffer[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            if self._filled == len(self._buffer):
                self._flush()

    def finish(self) -> dict[str, Any]:
        """Write what is left; the array's entry in the header."""
        if self._filled:
            self._flush()
        checksums = np.array(self._checksums, np.uint32)
        self._file.create_dataset(f"checksums/{self._name}", data=checksums, track_times=False)
        return {
            "rows": self._rows,
            "row_shape": list(self._buffer.shape[1:]),
            "dtype": self._buffer.dtype.str,
            "block_rows": len(self._buffer),
            "checksums_crc32": zlib.crc32(checksums.tobytes()),
        }

    def _flush(self) -> None:
        block = self._buffer[: self._filled]
        memory.check(CODEC_SHARE * self._buffer.nbytes)
        self._dataset.resize(self._rows + self._filled, axis=0)
        self._dataset[self._rows :] = block
        self._checksums.append(zlib.crc32(block.data))
        self._rows += self._filled
        self._filled = 0
