"""Whether memory has ended: libraries say it in many ways, and some call a file damaged that they
had no memory to read. It imports nothing that needs much of it.
"""

import errno
import mmap
import re
import resource
from collections.abc import Iterator

from pipeline.errors import PipelineError

LEAST = 1 << 26
"""Bytes: where so few cannot be had, an error that says nothing of memory is due to that."""
FEW = 1 << 23
"""Bytes that what surrounds a computation takes."""
SAID = re.compile(
    r"DefaultCPUAllocator|can't allocate memory|cannot allocate memory|not enough memory"
    r"|out of memory|bad_alloc|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""How torch, graphics cards, C++, Python's threads and the loader of libraries say it."""


def ended(error: BaseException) -> bool:
    """Whether an error, or one that it came of, says that memory has ended."""
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or (isinstance(each, RuntimeError | ImportError | OSError) and SAID.search(str(each)))
        for each in _chain(error)
    )


def is_short(needed: int = LEAST) -> bool:
    """Whether the system refuses this process `needed` bytes more."""
    try:
        mmap.mmap(-1, needed).close()
    except (OSError, MemoryError):
        return True
    return False


def check(needed: int) -> None:
    """Raise MemoryError where so many bytes more, and a few, cannot be had: before calls of
    libraries that end by a signal then.
    """
    if is_short(needed + FEW):
        raise MemoryError(f"{needed:,} bytes cannot be had")


def require(needed: int, stage: str) -> None:
    """Raise PipelineError where a stage that has loaded its libraries cannot have so many bytes."""
    if is_short(needed):
        raise PipelineError(
            f"{stage}: memory has ended: less than {needed >> 20} MB are left when its libraries "
            f"are loaded; {cure()}"
        )


def cause(error: BaseException) -> str:
    """What the error says of it, on one line."""
    said = [each for each in _chain(error) if ended(each)] or [error]
    lines = str(said[-1]).strip().splitlines()
    return lines[0] if lines else type(said[-1]).__name__


def cure() -> str:
    """Where this process can be given more."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        return f"give it more memory: it is limited to {limit >> 20:,} MB (ulimit -v)"
    return "give it more memory: the job's mem_mb, or a machine or card that has more"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
