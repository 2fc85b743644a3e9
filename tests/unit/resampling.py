"""A bootstrap without SciPy, one resample at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Strata = list[NDArray[np.float64]]


def mean_by_loop(strata: Strata) -> float:
    return sum(sum(elements) / len(elements) for elements in strata) / len(strata)


def assert_bootstrap_interval(
    interval: tuple[float, float], strata: Strata, statistic: Callable[[Strata], float]
) -> None:
    """The ends of a 95 % percentile interval, to within the noise of 2000 resamples."""
    rng = np.random.default_rng(11)
    figures = []
    for _ in range(2000):
        picks = [[rng.integers(len(elements)) for _ in elements] for elements in strata]
        resampled = [elements[pick] for elements, pick in zip(strata, picks, strict=True)]
        figures.append(statistic(resampled))
    # An end is known to about .06 of the spread, and so is the one it is compared with.
    ends = np.percentile(figures, [2.5, 97.5])
    assert interval == pytest.approx(tuple(ends), abs=0.25 * float(np.std(figures)))
