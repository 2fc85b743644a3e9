"""Arrays in NumPy's format, from files that others wrote: what a header says is held against what
the file can hold before any memory is taken. Nothing is unpickled.
"""

import math
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DEFLATE_RATIO = 1100
"""Of bytes to their compressed form: a little above what gzip and ZIP can reach (1032)."""
ARCHIVE_RATIO = 100
"""Of all arrays of an archive to its file: recordings have 15 at most."""
ALWAYS_READ = 1 << 26
"""Bytes of all arrays of an archive that are read however small its file is."""
LONGEST_EMPTY = 1 << 20
"""Rows of an array whose rows hold nothing."""
PIECE = 1 << 20
"""Bytes read at a time."""
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADER_ERRORS = (
    *(ValueError, TypeError, SyntaxError, TokenError, LookupError, ArithmeticError),
    *(MemoryError, RecursionError),
)
"""What NumPy raises on a header that is none: it parses it as a Python literal."""
UNREADABLE = (
    *(OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError),  # of an unknown kind of member, and an encrypted one
)
"""What the functions here raise on a file that is damaged, cut short or something else."""


class Readable(Protocol):
    """A file, or what is unpacked of one."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool

    @property
    def bytes(self) -> int:
        """Of all its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: Readable) -> Header:
    """The header at the beginning of `file`, which is read no further; ValueError for anything else
    than an array of numbers or texts.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):  # others have longer headers, for arrays of several fields
            raise ValueError(f"array format {version}")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    except HEADER_ERRORS as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if dtype.kind not in "biufUS" or dtype.shape:
        raise ValueError(f"an array of {dtype}s, not of numbers or texts")
    header = Header(tuple(map(int, shape)), dtype, by_columns)
    if min(header.shape, default=0) < 0:
        raise ValueError(f"an array of {header.shape}")
    if max(header.shape, default=0) > max(header.bytes, LONGEST_EMPTY):
        raise ValueError(f"an array of {header.shape}, which holds nothing")
    return header


def read_content(file: Readable, header: Header) -> NDArray[Any]:
    """All that follows the header, which the file must be known to hold; EOFError or ValueError if
    it is less or more. A checksum at the end of `file` is compared.
    """
    content = np.empty(header.bytes, np.uint8)
    filled = 0
    while piece := file.read(min(PIECE, header.bytes - filled)):
        content.data[filled : filled + len(piece)] = piece
        filled += len(piece)
    if filled < header.bytes:
        raise EOFError("it ends in the middle of the array")
    if file.read(1):
        raise ValueError("more bytes than the array has")
    order = "F" if header.by_columns else "C"
    return np.ndarray(header.shape, header.dtype, content, order=order)  # type: ignore[arg-type]


def read_archive(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Those of the arrays `names` that an `.npz` archive has. All others in it must be arrays too,
    of which nothing but the header is read.

    Raises one of UNREADABLE; nothing is allocated that the archive is too small for.
    """
    size, wanted = path.stat().st_size, set(names)
    found = {}
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        for member in members.values():
            _check_member(member, size)
        total = sum(member.file_size for name, member in members.items() if name in wanted)
        if total > max(ALWAYS_READ, ARCHIVE_RATIO * size):
            raise ValueError(f"its arrays have {total:,} bytes, the file {size:,}")
        for name, member in members.items():
            try:
                with archive.open(member) as file:
                    header = read_header(file)
                    if file.tell() + header.bytes != member.file_size:
                        left = member.file_size - file.tell()
                        raise ValueError(f"{header.bytes:,} bytes promised, {left:,} there")
                    if name in wanted:
                        found[name] = read_content(file, header)
            except UNREADABLE as error:
                raise ValueError(f"{name}: {error}") from None
    return found


def _check_member(member: zipfile.ZipInfo, size: int) -> None:
    """Refuse what is no array, or larger than a file of `size` bytes can hold."""
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} is no array")
    if member.compress_type not in COMPRESSIONS:
        kind = member.compress_type
        raise ValueError(f"{member.filename} is compressed in an unknown way ({kind})")
    largest = DEFLATE_RATIO * max(1, member.compress_size)
    if member.compress_size > size or member.file_size > largest:
        raise ValueError(
            f"{member.filename}: {member.file_size:,} bytes promised, {member.compress_size:,} in "
            f"a file of {size:,}"
        )
