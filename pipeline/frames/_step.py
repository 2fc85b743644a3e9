"""What is kept of a step."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from pipeline.environments import Frame


@dataclass(frozen=True)
class Step:
    """s_t."""

    frame: Frame
    state: NDArray[Any] | None = None
    """Of the machine, for the probe; None where the source does not know it."""
