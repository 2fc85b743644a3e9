"""The file that HDF5 writes an artefact to, which hides from it that a disk takes no more.

Where a write fails while HDF5 flushes or closes a file, the file is left half closed, and HDF5,
which closes everything once more when the process ends, ends it by SIGSEGV. So this one keeps the
first failure for who writes, and from then on takes everything and keeps nothing.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class DiscardableFile(io.RawIOBase):
    """A new file, for reading and writing at any place."""

    def __init__(self, path: Path) -> None:
        """Raises FileExistsError where anything has that name, a link included."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o666)
        self._place = 0
        self._failure: OSError | None = None

    def check(self) -> None:
        """Raise what the disk said when it refused a write, if it did."""
        if self._failure is not None:
            raise self._failure

    def sync(self) -> None:
        """Flush to the disk itself; raises OSError where it did not take everything."""
        self.check()
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; the next write may begin beyond the end."""
        size = os.fstat(self._descriptor).st_size if whence == os.SEEK_END else 0
        self._place = offset + (self._place if whence == os.SEEK_CUR else size)
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is, at most the buffer's length."""
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count

    def write(self, data: Any) -> int:
        """Write all of it, or take note of why not."""
        left = memoryview(data).cast("B")
        length = len(left)
        with self._noting():
            while len(left):
                count = os.pwrite(self._descriptor, left, self._place)
                self._place, left = self._place + count, left[count:]
        self._place += len(left)
        return length

    def truncate(self, size: int | None = None) -> int:
        """Set the length, or take note of why not."""
        length = self._place if size is None else size
        with self._noting():
            os.ftruncate(self._descriptor, length)
        return length

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failure = self._failure or error
