"""Read, compute and write at the same time: each in a thread of its own, a few batches apart.

The codecs, checksums and torch release the interpreter while they work, so that on two cores
storing costs nothing beside computing, and a GPU is not kept waiting for either. What is under way
is bounded by the number of batches, not by the data.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

AHEAD = 2
"""Batches that may wait between two of the three."""

Batch = TypeVar("Batch")
Read = TypeVar("Read")
Computed = TypeVar("Computed")


def overlapped(
    batches: Iterable[Batch],
    read: Callable[[Batch], Read],
    compute: Callable[[Read], Computed],
    write: Callable[[Computed], None],
) -> None:
    """`write(compute(read(batch)))` of every batch, in order; `compute` runs in this thread.

    The first error of any of the three ends it, and is raised. `write` may be called again after it
    has failed, with what waited already, and has to refuse it.
    """
    upcoming = iter(batches)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading: deque[Future[Read]] = deque()
        writing: deque[Future[None]] = deque()
        reading.extend(reader.submit(read, batch) for batch in islice(upcoming, AHEAD))
        while reading:
            content = reading.popleft().result()
            reading.extend(reader.submit(read, batch) for batch in islice(upcoming, 1))
            computed = compute(content)
            if len(writing) == AHEAD:
                writing.popleft().result()
            writing.append(writer.submit(write, computed))
            del content, computed
        for waiting in writing:
            waiting.result()
