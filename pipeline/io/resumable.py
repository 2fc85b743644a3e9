"""A long artefact, made in batches, that a kill cannot undo and that shards can share.

Batches arrive in order. What has been made for SAVE_SECONDS becomes a part: an artefact of its own
in a folder beside the output, whole or not there. A stage that is killed and started again goes on
after the last part. At the end the parts become the output, whose bytes depend on the rows alone,
not on where parts or shards begin (`ArtefactWriter.record`, `moments`). A shard is the same for
some of the batches, and its output is a part.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tqdm import tqdm

from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.io.atomic import alone, remove, writing
from pipeline.io.disk_space import require_space, stored_bytes
from pipeline.io.prefetch import overlapped
from pipeline.io.reading import Refused
from pipeline.io.running_stats import Sums, added
from pipeline.io.shard import Shard

SAVE_SECONDS = 30.0
"""A kill costs at most so much work, and one batch."""
COPIED_BYTES = 8 << 20
"""Of the widest array, at a time, while parts become one."""
SUM = "sum."
"""Before the names of a part's sums."""

Columns = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Arrays that grow together: name → shape of a row, type."""
Read = TypeVar("Read")
Computed = TypeVar("Computed")


WHOLE = Shard()


@dataclass(frozen=True)
class Rows:
    """What one batch adds to the artefact."""

    arrays: Mapping[str, NDArray[Any]]
    sums: Sums = field(default_factory=dict)


class PartsWriter:
    """Makes the artefact `path`, or the shard of it that lies there; to be used in a `with`.

    With `identity`, which says all that the content depends on, an attempt goes on with the parts
    that another one of the same identity has left. Without it, nothing is left. Raises
    PipelineError where another process is at the same artefact.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        attributes: Mapping[str, Any],
        identity: str | None = None,
        shard: Shard | None = None,
    ) -> None:
        self.path, self.kind, self.shard = Path(path), kind, shard
        self.attributes, self._identity = dict(attributes), identity
        self.sums: Sums = {}
        """Over all rows, after `run` or `merge`."""
        self._folder = self.path.with_name(f".{self.path.name}.parts")
        self._columns: Columns = {}
        self._batches = 0
        self._start = self._first = self._next = 0
        """Batches: the first to make, the first of the open file, the one that is due."""
        self._parts: list[Path] = []
        self._open: ArtefactWriter | None = None
        self._alone = ExitStack()
        self._since = 0.0
        self._checked = False

    def __enter__(self) -> Self:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._alone.enter_context(alone(self.path))
            if self._identity is None or self._folder.is_symlink():
                remove(self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._alone:
            if self._open is not None:
                if error is None and self.shard is None:
                    self._open.become(self.path, self.kind, self.attributes)
                elif error is None:
                    self._describe_part(self._open, self._start, self.path)
                self._open.__exit__(kind, error, trace)
            if error is None or not any(self._folder.glob("*.h5")):
                remove(self._folder)

    def run(
        self,
        columns: Columns,
        batches: int,
        read: Callable[[int], Read],
        compute: Callable[[Read], Computed],
        rows: Callable[[Computed], Rows],
        label: str,
    ) -> None:
        """Make `rows(compute(read(batch)))` of every batch of the shard that no part has yet.

        `read` and `rows` are called in threads of their own. Raises PipelineError where the disk is
        too small.
        """
        own = (self.shard or WHOLE).batches(batches)
        self._columns, self._batches = columns, batches
        self._resume(own.start)
        due = range(self._next, own.stop)
        with tqdm(total=len(own), initial=len(own) - len(due), desc=label, unit="batch") as bar:

            def write(computed: tuple[int, Computed]) -> None:
                self._add(computed[0], rows(computed[1]), own.stop)
                bar.update()

            overlapped(
                due, lambda batch: (batch, read(batch)), lambda r: (r[0], compute(r[1])), write
            )
        if self._parts:
            if self._open is not None:
                self._close_part()
            self._join([Artefact(path, self._part_kind) for path in self._parts])
        elif self._open is None:
            self._begin()

    def merge(self, batches: int, shards: Sequence[Path]) -> dict[str, Any]:
        """Put the shards together, whatever their order; returns the attributes of the first.

        Raises PipelineError where one is damaged, missing, of other settings or other data.
        """
        opened = [Artefact(path, self._part_kind) for path in shards]
        opened.sort(key=lambda shard: (shard.attributes["first"], shard.attributes["last"]))
        for shard in opened:
            found = shard.attributes
            same = all(found.get(key) == value for key, value in self.attributes.items())
            if not same or (found["first"], found["batches"]) != (self._next, batches):
                raise PipelineError(
                    f"{shard.path}: of other settings or data, or not the shard from batch "
                    f"{self._next} of {batches} on; delete the shards and run the workflow again"
                )
            self._next = int(found["last"])
        if self._next != batches:
            raise PipelineError(
                f"{self.path}: the shards end at batch {self._next} of {batches}; "
                "run the workflow again to make the others"
            )
        require_space(self.path, sum(path.stat().st_size for path in shards))
        described = opened[0].attributes
        self._columns = {
            name: (opened[0].shape(name)[1:], opened[0].dtype(name))
            for name in described["columns"]
        }
        self._join(opened)
        return described

    def write(self, name: str, array: NDArray[Any]) -> None:
        """Store a further array of the whole artefact, after `run` or `merge`."""
        assert self._open is not None, "nothing has been made yet"
        self._open.write(name, array)

    @property
    def _part_kind(self) -> str:
        return f"{self.kind} part"

    def _resume(self, start: int) -> None:
        """Find the parts that were left, each beginning where the last one ends; others go."""
        self._start = self._next = start
        for path in sorted(self._folder.glob("*.h5")):
            part = Artefact(path, self._part_kind)
            try:
                found = part.attributes
                ours = (found["identity"], found["first"]) == (self._identity, self._next)
            except Refused:
                raise
            except PipelineError:
                ours = False
            part.close()
            if ours:
                self._parts.append(path)
                self._next = int(found["last"])
            else:
                path.unlink()

    def _begin(self) -> None:
        """Open a file for what comes; what it will be is decided when it is complete."""
        self._open = ArtefactWriter(self._folder / "open.h5", self._part_kind, {}).__enter__()
        for name, (shape, dtype) in self._columns.items():
            self._open.create(name, shape, dtype)
        self._first, self.sums, self._since = self._next, {}, time.monotonic()

    def _add(self, batch: int, rows: Rows, stop: int) -> None:
        if batch != self._next:
            raise RuntimeError(f"{self.path}: batch {batch}, but {self._next} has failed")
        if self._open is None:
            self._begin()
            self._check_space(rows, stop - batch)
        assert self._open is not None
        self._open.record(rows.arrays)
        self.sums = added(self.sums, rows.sums)
        self._next += 1
        late = time.monotonic() - self._since >= SAVE_SECONDS
        if late and self._identity is not None and self._next < stop:
            self._close_part()

    def _check_space(self, rows: Rows, due: int) -> None:
        """Refuse in the beginning what will not fit: the rows to come, and parts a second time."""
        if not self._checked:
            parts = sum(path.stat().st_size for path in self._parts)
            require_space(self.path, parts + 2 * due * stored_bytes(self._folder, rows.arrays))
        self._checked = True

    def _describe_part(self, writer: ArtefactWriter, first: int, path: Path) -> None:
        """Say which batches these are, and add their sums."""
        for name, values in sorted(self.sums.items()):
            writer.write(SUM + name, values)
        place = {"first": first, "last": self._next, "batches": self._batches}
        made = {"identity": self._identity, "columns": list(self._columns)}
        writer.become(path, self._part_kind, {**self.attributes, **place, **made})

    def _close_part(self) -> None:
        """What is open becomes a part."""
        assert self._open is not None
        path = self._folder / f"{self._first:08d}.h5"
        self._describe_part(self._open, self._first, path)
        self._open.__exit__(None, None, None)
        self._open = None
        self._parts.append(path)

    def _join(self, parts: Sequence[Artefact]) -> None:
        """Copy the rows of all parts into one file, and add up their sums."""
        self._begin()
        assert self._open is not None
        widest = max(
            np.dtype(dtype).itemsize * int(np.prod(shape))
            for shape, dtype in self._columns.values()
        )
        step = max(1, COPIED_BYTES // widest)
        for part in parts:
            for start in range(0, part.shape(next(iter(self._columns)))[0], step):
                self._open.record(
                    {name: part.read(name, start, start + step) for name in self._columns}
                )
            names = [name for name in part.names if name.startswith(SUM)]
            own = {name.removeprefix(SUM): part.read(name) for name in names}
            self.sums = added(self.sums, own)
            part.close()
