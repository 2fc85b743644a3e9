"""Scores of a few seeds × a few episodes → the figures of a table's row. Pure NumPy and SciPy.

Input is always a list with one array of episode returns per seed. With 3 seeds × 10 episodes an
interval is wide and should be seen; the interquartile mean is there because a single lucky episode
moves a mean (Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice").
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Scores = Sequence[NDArray[np.float64]]
"""One array of episode returns (episodes,) per seed."""

RESAMPLES = 2000


def mean(scores: Scores) -> float:
    """Mean over seeds of the mean over each seed's episodes."""
    return float(np.mean(seed_means(scores)))


def deviation(scores: Scores) -> float:
    """Standard deviation (n - 1) across seeds of the seeds' means; NaN with a single seed."""
    means = seed_means(scores)
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def interquartile_mean(scores: Scores) -> float:
    """Mean of the middle half of all episodes, whichever seed they come from."""
    return float(stats.trim_mean(np.concatenate(scores), 0.25))


def confidence_interval(
    scores: Scores, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of `mean`, episodes resampled within each seed (stratified).

    The same scores give the same interval: the resampling is seeded. (NaN, NaN) if some seed has a
    single episode, which cannot be resampled.
    """
    if min(len(episodes) for episodes in scores) < 2:
        return float("nan"), float("nan")
    result = stats.bootstrap(
        list(scores),
        lambda *strata, axis: np.mean([np.mean(s, axis=axis) for s in strata], axis=0),
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def normalize(score: ArrayLike, random: float, reference: float) -> NDArray[np.float64]:
    """Gamer-normalised score: 0 is random play, 100 the reference, both from the literature."""
    return 100 * (np.asarray(score, dtype=np.float64) - random) / (reference - random)


def share_of_data(score: float, random: float, data_mean: float) -> float:
    """g = (score - random) / (data mean - random): 0 is random play, 1 the episodes trained on."""
    return (score - random) / (data_mean - random) if data_mean != random else float("nan")


def seed_means(scores: Scores) -> NDArray[np.float64]:
    """(seeds,) mean return of each seed's episodes."""
    return np.array([np.mean(episodes) for episodes in scores], dtype=np.float64)
