"""The HDF5 container of every large artefact: typed, versioned, block-checksummed, written whole.

Files that others wrote are read elsewhere (`pipeline.data.sources`). An artefact has a kind
("trajectories", "frames", "regions", "cache", "pixels"), a schema version, JSON attributes
(provenance among them), and arrays chunked along their first axis in blocks, each with a CRC-32 of
its raw bytes. Strings are JSON attributes.
Layout: root attributes `kind`, `schema_version`, `header_crc32`; dataset `header` (UTF-8 JSON: the
attributes, and rows, row shape, type, block length and checksum-list CRC of every array);
`arrays/<name>`; `checksums/<name>`.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pipeline.errors import PipelineError
from pipeline.io import memory
from pipeline.io.array_blocks import CODEC_SHARE, GrowingArray, fault
from pipeline.io.atomic import private, sync_folder, writing
from pipeline.io.block_cache import BlockCache, Layout
from pipeline.io.discardable_file import DiscardableFile
from pipeline.io.json import parse
from pipeline.io.reading import Refused, reading

SCHEMA_VERSION = 1
REBUILD = "delete it and run the workflow again to rebuild it"
# What HDF5 raises on damaged metadata is not one type; all of it means the file cannot be used.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


class ArtefactWriter:
    """Write in a private folder; the artefact takes its name when the `with` ends well."""

    def __init__(self, path: Path, kind: str, attributes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.kind = kind
        self._attributes = dict(attributes)
        self._arrays: dict[str, GrowingArray] = {}
        self._open = ExitStack()
        self._file: Any = None

    def __enter__(self) -> Self:
        with writing(self.path), ExitStack() as opened:
            own = opened.enter_context(private(self.path))
            self._temporary = own.folder / self.path.name
            self._written = DiscardableFile(self._temporary)
            opened.callback(self._close)
            # v110: metadata carry checksums, so damage outside the blocks is noticed as well
            self._file = h5py.File(self._written, "w", libver="v110")
            self._open = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with writing(self.path), self._open:
            if error is None:
                self._finish()
            elif not isinstance(error, PipelineError):
                raise error

    def write(self, name: str, array: ArrayLike) -> None:
        """Store a whole array (at least one axis)."""
        whole = np.asarray(array)
        if whole.ndim == 0:
            raise ValueError(f"{name}: a scalar belongs in the attributes")
        self.create(name, whole.shape[1:], whole.dtype)
        self.append(name, whole)

    def create(self, name: str, row_shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Begin an array that grows by `append`; memory stays bounded by one block."""
        if name in self._arrays:
            raise ValueError(f"{self.path}: array {name} exists already")
        self._arrays[name] = GrowingArray(self._file, name, row_shape, np.dtype(dtype))

    def append(self, name: str, rows: NDArray[Any]) -> None:
        """Append rows to an array made by `create`; raises ValueError if shape or type differ."""
        self._arrays[name].append(rows)
        self._written.check()

    def record(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Append as many rows to each of several arrays that grow together.

        The file's bytes depend on the rows alone, not on how they are divided into calls.
        """
        done, rows = 0, len(next(iter(arrays.values())))
        while done < rows:
            piece = min(rows - done, *(self._arrays[name].room for name in arrays))
            for name, values in arrays.items():
                self.append(name, values[done : done + piece])
            done += piece

    def set_attribute(self, name: str, value: Any) -> None:
        """Set a JSON attribute, any time before the end."""
        self._attributes[name] = value

    def become(self, path: Path, kind: str, attributes: Mapping[str, Any]) -> None:
        """End as another file than was meant at first, on the same file system."""
        self.path, self.kind, self._attributes = Path(path), kind, dict(attributes)

    def _finish(self) -> None:
        arrays = {name: self._arrays[name].finish() for name in sorted(self._arrays)}
        header = {"attributes": self._attributes, "arrays": arrays}
        text = json.dumps(header, sort_keys=True, allow_nan=False).encode()
        self._file.create_dataset("header", data=np.frombuffer(text, np.uint8), track_times=False)
        self._file.attrs["kind"] = self.kind
        self._file.attrs["schema_version"] = SCHEMA_VERSION
        self._file.attrs["header_crc32"] = zlib.crc32(text)
        self._file.close()
        self._written.sync()  # so that the rename cannot outlive the content
        self._temporary.replace(self.path)
        sync_folder(self.path.parent)

    def _close(self) -> None:
        """Close whatever is still open, complete or not."""
        if self._file is not None:
            self._file.close()
        self._written.close()


class Artefact:
    """Read an artefact lazily: the file is opened at the first read, once per process (fork-safe).

    Raises PipelineError naming file and cause: missing, not HDF5, truncated, another kind, another
    schema version, a damaged block (array, rows). With `kind=None` any kind is accepted. Blocks
    decoded by `gather` stay in memory up to `memory_mb`: an array that fits is kept whole in one
    piece, of larger ones the blocks used last.
    """

    def __init__(self, path: Path, kind: str | None, memory_mb: int = 2048) -> None:
        self.path = Path(path)
        self._wanted_kind = kind
        self._memory_mb = memory_mb
        self._file: Any = None
        self._process = -1
        self._header: dict[str, Any] = {}
        self._text = b""
        self._checksums: dict[str, NDArray[np.uint32]] = {}
        self._agreeing: set[str] = set()  # arrays that are as the header says
        self._cache = BlockCache(memory_mb << 20, self._decode)

    def __reduce__(self) -> tuple[Any, ...]:
        return Artefact, (self.path, self._wanted_kind, self._memory_mb)

    @property
    def attributes(self) -> dict[str, Any]:
        """The JSON attributes."""
        self._open()
        attributes: dict[str, Any] = self._header["attributes"]
        return attributes

    @property
    def kind(self) -> str:
        """The kind written in the file."""
        return str(self._open().attrs["kind"])

    @property
    def digest(self) -> str:
        """SHA-256 of all that the file holds, of its kind, attributes and blocks' checksums: told
        without reading a block, each of which is checked against it when it is read.
        """
        kind = self.kind.encode()
        return hashlib.sha256(kind + b"\0" + self._text).hexdigest()

    @property
    def names(self) -> list[str]:
        """Names of the arrays, sorted."""
        self._open()
        return sorted(self._header["arrays"])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        entry = self._entry(name)
        return (entry["rows"], *entry["row_shape"])

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of an array."""
        dtype: np.dtype[Any] = np.dtype(self._entry(name)["dtype"])
        return dtype

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows start … stop of an array, checked block by block; nothing is kept in memory."""
        rows, length = self._entry(name)["rows"], self._entry(name)["block_rows"]
        start, stop, _ = slice(start, stop).indices(rows)
        out = np.empty((max(stop - start, 0), *self.shape(name)[1:]), self.dtype(name))
        for block in range(start // length, -(-stop // length) if stop > start else 0):
            first = block * length
            low, high = max(start, first), min(stop, first + length)
            out[low - start : high - start] = self._decode(name, block)[low - first : high - first]
        return out

    def gather(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows (…,) in any order, with any number of axes, through the cache of decoded blocks.

        Returns (…, *row shape); raises IndexError for a row outside the array (negative ones too).
        """
        entry = self._entry(name)
        index = np.asarray(rows, np.int64)
        if index.size and (index.min() < 0 or index.max() >= entry["rows"]):
            raise IndexError(f"{self.path}: {name} has rows 0 to {entry['rows'] - 1}")
        layout = Layout(name, self.shape(name), self.dtype(name), entry["block_rows"])
        taken = self._cache.gather(layout, index.reshape(-1))  # (index.size, *row shape)
        return taken.reshape(*index.shape, *layout.shape[1:])

    def damaged_blocks(self) -> list[str]:
        """Every damaged block as "array rows a-b"; empty if the file is whole."""
        damaged = []
        for name in self.names:
            entry = self._entry(name)
            for block in range(-(-entry["rows"] // entry["block_rows"])):
                try:
                    self._decode(name, block)
                except Refused:
                    raise
                except PipelineError:
                    damaged.append(self._label(name, block))
        return damaged

    def close(self) -> None:
        """Close the file and forget decoded blocks; the next read opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._cache.clear()

    def _open(self) -> Any:
        if self._file is None or self._process != os.getpid():
            if self._file is not None:
                self._file.close()  # inherited by a fork: its state is shared with the parent
            self._file = self._validated()
            self._process = os.getpid()
        return self._file

    def _validated(self) -> Any:
        try:
            with reading(self.path, opened=True):
                file = h5py.File(self.path, "r")
        except FileNotFoundError:
            raise PipelineError(f"{self.path}: missing; run the workflow to build it") from None
        except HDF5_ERRORS as error:
            raise PipelineError(
                f"{self.path}: damaged or truncated, or not HDF5 ({error}); {REBUILD}"
            ) from None
        try:
            with reading(self.path):
                self._header = self._read_header(file)
        except HDF5_ERRORS as error:
            raise PipelineError(f"{self.path}: damaged header ({error}); {REBUILD}") from None
        return file

    def _read_header(self, file: Any) -> dict[str, Any]:
        missing = {"kind", "schema_version", "header_crc32"} - set(file.attrs)
        if missing:
            raise PipelineError(
                f"{self.path}: HDF5, but not an artefact of this pipeline; {REBUILD}"
            )
        kind, version = str(file.attrs["kind"]), int(file.attrs["schema_version"])
        if version != SCHEMA_VERSION:
            raise PipelineError(
                f"{self.path}: schema version {version}, this program reads "
                f"{SCHEMA_VERSION}; {REBUILD}"
            )
        if self._wanted_kind is not None and kind != self._wanted_kind:
            raise PipelineError(
                f"{self.path}: holds {kind}, expected {self._wanted_kind}; "
                f"pass the right file, or {REBUILD}"
            )
        text = file["header"][:].tobytes()
        if zlib.crc32(text) != int(file.attrs["header_crc32"]):
            raise PipelineError(
                f"{self.path}: damaged header (attributes, checksum differs); {REBUILD}"
            )
        header: dict[str, Any] = parse(text)
        self._text = text
        self._checksums.clear()
        self._agreeing.clear()
        return header

    def _entry(self, name: str) -> dict[str, Any]:
        self._open()
        arrays: dict[str, dict[str, Any]] = self._header["arrays"]
        if name not in arrays:
            raise PipelineError(
                f"{self.path}: no array {name} (it has {', '.join(arrays)}); {REBUILD}"
            )
        entry = arrays[name]
        if name not in self._agreeing:
            with reading(self.path):
                cause = fault(self._file, name, entry)
            if cause:
                raise PipelineError(f"{self.path}: damaged array {name} ({cause}); {REBUILD}")
            self._agreeing.add(name)
        return entry

    def _checksum(self, name: str, block: int) -> int:
        if name not in self._checksums:
            with reading(self.path):
                stored = self._open()[f"checksums/{name}"][:]
            if zlib.crc32(stored.tobytes()) != self._entry(name)["checksums_crc32"]:
                raise OSError("checksum list differs")
            self._checksums[name] = stored
        return int(self._checksums[name][block])

    def _label(self, name: str, block: int) -> str:
        entry = self._entry(name)
        first = block * entry["block_rows"]
        return f"{name} rows {first}-{min(first + entry['block_rows'], entry['rows']) - 1}"

    def _decode(self, name: str, block: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """One block, decompressed and verified, into `out` if given."""
        entry = self._entry(name)
        first = block * entry["block_rows"]
        last = min(first + entry["block_rows"], entry["rows"])
        if out is None:
            out = np.empty((last - first, *entry["row_shape"]), np.dtype(entry["dtype"]))
        try:
            with reading(self.path):
                memory.check(CODEC_SHARE * entry["block_rows"] * out[:1].nbytes)
                self._open()[f"arrays/{name}"].read_direct(out, np.s_[first:last])
            whole = zlib.crc32(out.data) == self._checksum(name, block)
            cause = "checksum differs"
        except HDF5_ERRORS as error:
            whole, cause = False, str(error)
        if not whole:
            label = self._label(name, block)
            raise PipelineError(f"{self.path}: damaged block: {label} ({cause}); {REBUILD}")
        return out
