"""Normalised scores of a few runs on each of several games → figures across games, with intervals.

What to report from a handful of runs, after Agarwal et al. 2021 ("Deep RL at the Edge of the
Statistical Precipice"), with the definitions of their library rliable; `paired_difference` is an
addition. All intervals are of 95 %, by a bootstrap of runs within each game, seeded. They are wider
than rliable's, whose percentiles cover the truth in 74 to 88 % of cases where there are three runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import PipelineError
from pipeline.reporting.statistics import Statistic, interval, mean_of_means

Runs = Sequence[NDArray[np.float64]]
"""One array of normalised scores (runs,) per game; a run's score is the mean of its episodes.

`statistics.seed_means` makes the array of one game from its normalised `Scores`.
"""


class Estimate(NamedTuple):
    """A figure and its 95 % interval, whose ends are NaN if some game has a single run; all three
    are where there is no game.
    """

    value: float
    low: float
    high: float


def estimate(runs: Runs, statistic: Statistic) -> Estimate:
    """Any statistic of runs × games, such as `mean_of_means` or `pooled_interquartile_mean`."""
    if not runs:
        return Estimate(float("nan"), float("nan"), float("nan"))
    return Estimate(float(statistic(runs)), *interval(runs, statistic, widened=True))


def probability_of_improvement(x: Runs, y: Runs) -> Estimate:
    """Mean over games of P(X > Y) + P(X = Y) / 2, for a run of X and a run of Y on the same game.

    Over all pairs of runs, so that X and Y may have different numbers; both are resampled, each on
    its own. Raises PipelineError unless x and y have the same number of games.
    """
    games = len(x)
    if len(y) != games:
        raise PipelineError(f"cannot compare runs on {games} games with runs on {len(y)}")

    def mean_share_of_wins(strata: Runs) -> NDArray[np.float64]:
        pairs = zip(strata[:games], strata[games:], strict=True)
        return np.asarray(np.mean([_share_of_wins(*pair) for pair in pairs], axis=0))

    value, low, high = estimate([*x, *y], mean_share_of_wins)
    return Estimate(value, *np.clip([low, high], 0, 1).tolist())


def paired_difference(x: Runs, y: Runs) -> Estimate:
    """Mean over games and seeds of x - y, where run i of X and run i of Y share their seed.

    Seeds are resampled, not runs: what a seed does to X and Y alike cancels, and the interval is
    narrower for it. Raises PipelineError unless x and y have the same seeds in every game.
    """
    shapes = [scores.shape for scores in x], [scores.shape for scores in y]
    if shapes[0] != shapes[1]:
        raise PipelineError(
            f"runs are paired by seed, but there are {_counts(x)} runs per game on one side and "
            f"{_counts(y)} on the other"
        )
    return estimate([a - b for a, b in zip(x, y, strict=True)], mean_of_means)


def performance_profile(runs: Runs, thresholds: ArrayLike) -> list[Estimate]:
    """For each of the thresholds (τ,), the mean over games of the share of runs that score > τ.

    The band is pointwise, and rliable's: percentiles, which are not widened for few runs. Every
    threshold sees the same resamples, so that the ends of the band fall as the profile does.
    """
    shares = (
        [(scores > threshold).astype(np.float64) for scores in runs]
        for threshold in np.asarray(thresholds, dtype=np.float64)
    )
    return [Estimate(float(mean_of_means(each)), *interval(each, mean_of_means)) for each in shares]


def _share_of_wins(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., n) and (..., m) → (...): Mann-Whitney U / (n · m), where a tie is half a win."""
    signs = np.sign(x[..., :, None] - y[..., None, :])
    return np.asarray((1 + signs.mean(axis=(-2, -1))) / 2)


def _counts(runs: Runs) -> str:
    return ", ".join(str(len(scores)) for scores in runs)
