"""NumPy arrays in gzip files, read from their beginning in pieces: `np.save` through gzip, which is
how Dopamine writes its replay memory. Nothing is unpickled.
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.io.npy import DEFLATE_RATIO, UNREADABLE, read_content, read_header
from pipeline.io.reading import reading


class GzipArray:
    """One file, opened at its first row; use it in a `with`.

    Raises PipelineError naming the file: missing, not gzip, not an array, an array of objects, cut
    short. A wrong checksum is noticed where the file is read to its end.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise PipelineError(f"{path}: missing; copy it from the data set again")
        self.path = path
        with self._reading():
            self._file = gzip.open(path)  # noqa: SIM115 - closed by `__exit__`
            try:
                self._header = read_header(self._file)
                if self._header.by_columns:
                    raise ValueError("an array stored by columns")
                self.shape, self.dtype = self._header.shape, self._header.dtype
                self._check_length()
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def rows(self) -> int:
        """Rows of the whole array; a single number is one row."""
        return self.shape[0] if self.shape else 1

    def read(self, rows: int) -> NDArray[Any]:
        """The next `rows` rows; at least so many must be left."""
        out = np.empty((rows, *self.shape[1:]), self.dtype)
        left = out.reshape(-1).view(np.uint8)
        with self._reading():
            while len(left):
                count = self._file.readinto(left.data)
                if not count:
                    raise EOFError("it ends in the middle of the array")
                left = left[count:]
        return out

    def whole(self) -> NDArray[Any]:
        """All rows, from a file just opened; checks gzip's checksum."""
        with self._reading():
            return read_content(self._file, self._header)

    def _check_length(self) -> None:
        """Compare what gzip wrote at the very end of the file, the length of its content, with the
        length that the array's header promises: a file cut short is noticed without reading it.

        gzip writes the length modulo 4 GiB, so it is held against the size of the file too.
        """
        promised = self._file.tell() + self._header.bytes
        if promised > DEFLATE_RATIO * (size := self.path.stat().st_size):
            self._file.close()
            raise PipelineError(
                f"{self.path}: its array {self.shape} has {promised:,} bytes, more than a file of "
                f"{size:,} can hold; copy the file again"
            )
        with self.path.open("rb") as raw:
            raw.seek(-4, 2)
            written = int.from_bytes(raw.read(4), "little")
        if written != promised % 2**32:
            self._file.close()
            raise PipelineError(
                f"{self.path}: cut short: gzip's last bytes do not give the length of its array "
                f"{self.shape}; copy the file again"
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with reading(self.path):
                yield
        except UNREADABLE as error:
            raise PipelineError(
                f"{self.path}: damaged, cut short, or not a NumPy array in gzip ({error}); "
                "copy the file again"
            ) from None
