"""Numbers, and tables of them, as people read them."""

from collections.abc import Iterable, Sequence

import numpy as np

UNKNOWN = "n/a"
"""What stands where there is no number."""


def figure(value: float, digits: int = 1) -> str:
    """A number for people: one decimal, none from 1000 on, UNKNOWN for NaN."""
    if np.isnan(value):
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"


def plus_minus(mean: float, deviation: float) -> str:
    """Mean ± standard deviation, or the mean alone with a single seed."""
    return figure(mean) if np.isnan(deviation) else f"{figure(mean)} ± {figure(deviation)}"


def interval(low: float, high: float, digits: int = 1) -> str:
    """An interval for people; empty where it does not exist."""
    return "" if np.isnan(low) else f"[{figure(low, digits)}, {figure(high, digits)}]"


def count(number: int, thing: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


WIDEST = 9
"""Columns beyond which methods are lines."""


def method_grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of a line for each game and a column for each method, or the other way round
    where it would be too wide to read.
    """
    lines = [header, *rows]
    if len(header) > max(WIDEST, len(lines)):
        (_, *games), *methods = zip(*lines, strict=True)
        return markdown_grid(["method", *games], methods)
    return markdown_grid(lines[0], lines[1:])


def markdown_grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
