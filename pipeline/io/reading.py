"""What a system says where it does not let a file be read, told from damage: a whole file that is
locked or forbidden must not be called damaged, for who is told so deletes it.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.io import memory

LOCKS = "set HDF5_USE_FILE_LOCKING=FALSE in the environment"
CURES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "let it be read"),
    errno.ENOLCK: f"its file system has no locks: {LOCKS}",
    errno.EIO: "look after the disk",
    errno.ESTALE: "look after the network file system, and run it again",
    errno.ETIMEDOUT: "look after the network file system, and run it again",
    errno.EISDIR: "it is a folder: name a file",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit on open files: ulimit -n"),
}
"""What helps against what a system says."""
LOCKED = f"wait for the process that writes it, or, if there is none, {LOCKS}"
TAKEN = (errno.EAGAIN, errno.EACCES)
"""What it says of a lock that another process has."""
DAMAGE = (errno.EINVAL, errno.EOVERFLOW, errno.ENXIO, errno.EFBIG)
"""What it says of a place in a file that cannot be, which damage has named."""
QUOTED = re.compile(r"errno = (\d+)|\(os error (\d+)\)")
"""How HDF5 and safetensors quote a system."""


class Refused(PipelineError):
    """The system does not let a file be read, which says nothing of what is in it."""


class NoMemory(Refused):
    """There is no memory left to read a file."""


@contextmanager
def reading(path: Path, opened: bool = False) -> Iterator[None]:
    """Inside the block, a system that does not let `path` be read is `Refused`, which names it,
    the cause and the cure.

    What is missing stays a FileNotFoundError, and what a library says of the content its own error.
    With `opened` the file is tried first, for libraries that call a forbidden one missing.
    """
    try:
        if opened:
            with path.open("rb"):
                pass
        yield
    except (FileNotFoundError, PipelineError):
        raise
    except Exception as error:
        if refused := refusal(path, error):
            raise refused from None
        raise


def refusal(path: Path, error: BaseException) -> Refused | None:
    """What to tell of an error if the system is its cause; None if the content is."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (quoted := QUOTED.search(str(error))):
        number = int(quoted[1] or quoted[2])
    if number == errno.ENOMEM or memory.ended(error) or (number is None and memory.is_short()):
        return NoMemory(
            f"{path}: cannot be read: memory has ended ({memory.cause(error)}); it need not be "
            f"damaged: {memory.cure()}"
        )
    if number is None or number in DAMAGE or number not in errno.errorcode:
        return None
    cause = os.strerror(number)
    cure = CURES.get(number, "look after the file system, and run it again")
    if number != errno.ENOLCK and "lock" in str(error).lower():
        cause = f"a lock was refused: {cause}"
        cure = LOCKED if number in TAKEN else CURES[errno.ENOLCK]
    return Refused(f"{path}: cannot be read: {cause}; it need not be damaged: {cure}")


def utf8_text(path: Path, cure: str, longest: int | None = None, shown: str | None = None) -> str:
    """The text of a UTF-8 file of at most `longest` bytes; `shown` names it in messages.

    Raises FileNotFoundError, or PipelineError naming the file, the cause and the cure: it cannot be
    read, is no file, is too long, or is in another encoding.
    """
    name = shown or str(path)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise PipelineError(f"{name}: is {kind}, and a text file is expected; rename or remove it")
    with reading(Path(name) if shown else path), path.open("rb") as file:
        content = file.read(-1 if longest is None else longest + 1)
    if longest is not None and len(content) > longest:
        raise PipelineError(f"{name}: more than {longest:,} bytes; {cure}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PipelineError(
            f"{name}: line {line} is not UTF-8 (byte {content[error.start]:#04x}): save it as UTF-8"
        ) from None
