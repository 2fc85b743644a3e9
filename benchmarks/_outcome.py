"""What a row of `benchmarks.card` says, and how errors become rows."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass

import torch

PASSES, FAILS, NOT_MEASURED = "passes", "FAILS", "not measured"
LONGEST = 160


@dataclass(frozen=True)
class Outcome:
    """A row without its name."""

    measured: str
    bound: str = ""
    """Or floor."""
    verdict: str = ""


@dataclass(frozen=True)
class Item:
    """A row that is still to be measured."""

    name: str
    measure: Callable[[], Outcome]
    check: bool = False
    """Whether it has to be made for the whole to pass."""


def judged(measured: str, bound: str, passes: bool) -> Outcome:
    """The outcome of a check."""
    return Outcome(measured, bound, PASSES if passes else FAILS)


def outcome_of(item: Item) -> Outcome:
    """Measure it; what goes wrong is a row as well, so that the others are still seen, and nothing
    else is said.

    Only a timing may lack memory: a check that was not made has not been passed.
    """
    try:
        with redirect_stderr(io.StringIO()):  # progress bars, a compiler's warnings
            return item.measure()
    except torch.OutOfMemoryError:
        return Outcome("out of memory", verdict=FAILS if item.check else NOT_MEASURED)
    except Exception as error:
        return Outcome(in_one_line(error), verdict=FAILS)


def in_one_line(error: Exception) -> str:
    """An error for a cell of a table."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0] if lines else 'no message'}".replace("|", "/")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
