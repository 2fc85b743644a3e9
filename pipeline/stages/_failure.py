"""How a stage that cannot go on ends: one line on standard error, and exit status 1."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

from pipeline.errors import PipelineError
from pipeline.io import memory
from pipeline.io.reading import NoMemory


def stop(error: Exception, stage: str, settings: Sequence[str]) -> NoReturn:
    """End the process with what there is to say of an error; raises it where that is nothing.

    `settings` are those of `stage` that can be lowered where memory has ended.
    """
    line = _line(error, stage, settings)
    if line is None:
        raise error
    print(f"error: {line}", file=sys.stderr)
    sys.exit(1)


def _line(error: Exception, stage: str, settings: Sequence[str]) -> PipelineError | None:
    """What to say of bad input, or of the system where that is the cause; None of all else."""
    if isinstance(error, NoMemory):
        lower = f", or lower {' or '.join(settings)}" if settings else ""
        return PipelineError(f"{stage}: {error}{lower}")
    if isinstance(error, PipelineError):
        return error
    if memory.ended(error) or memory.is_short():
        lower = f"lower {' or '.join(settings)}, or " if settings else ""
        return PipelineError(
            f"{stage}: memory has ended ({memory.cause(error)}); {lower}{memory.cure()}"
        )
    if isinstance(error, OSError):
        return PipelineError(
            f"{error.filename}: {error.strerror}" if error.filename else str(error)
        )
    return None


def _not_loaded(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Python's hook for an error that nobody has caught: of a stage whose libraries are not loaded,
    for `stop` sees all others. Want of memory is one line.
    """
    if isinstance(error, Exception) and (memory.ended(error) or memory.is_short()):
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        stage = spec.name.rpartition(".")[2] if spec else "loading libraries"
        print(f"error: {_line(error, stage, [])}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[:1] == ["-m"]:  # so while Python looks for a module to run: this process is a stage's
    sys.excepthook = _not_loaded
