"""Scores of a few seeds × a few episodes → the figures of a table's row. Pure NumPy and SciPy.

Input is always a list with one array of episode returns per seed. With few seeds an interval is
wide and should be seen; the interquartile mean is there because a single lucky episode
moves a mean (Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice").
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Scores = Sequence[NDArray[np.float64]]
"""One array of episode returns (episodes,) per seed."""

Strata = Sequence[NDArray[np.float64]]
"""Arrays (..., elements) of what is resampled, each within itself: a method's seeds, or a game's
runs. `interval` takes (elements,); the leading axes are for many resamples at once."""

Statistic = Callable[[Strata], NDArray[np.float64]]
"""Strata (..., elements) → a figure (...)."""

RESAMPLES = 2000


def mean(scores: Scores) -> float:
    """Mean over seeds of the mean over each seed's episodes."""
    return float(mean_of_means(scores))


def deviation(scores: Scores) -> float:
    """Standard deviation (n - 1) across seeds of the seeds' means; NaN with a single seed."""
    means = seed_means(scores)
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def interquartile_mean(scores: Scores) -> float:
    """Mean of the middle half of all episodes, whichever seed they come from."""
    return float(pooled_interquartile_mean(scores))


def confidence_interval(
    scores: Scores, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Interval of `mean`: a bootstrap of seeds, each with its episodes, widened for few seeds.

    Episodes are not resampled within a seed as well: a seed's mean varies with them already, and
    to count that twice covers 99.9 instead of 95 % where seeds differ by nothing else. With a
    single seed there is nothing else to resample, and the interval says nothing of other seeds.

    The same scores give the same interval: the resampling is seeded. (NaN, NaN) for a single seed
    with a single episode.
    """
    if len(scores) == 1:
        return interval(scores, mean_of_means, level, resamples, seed)
    means = [seed_means(scores)]
    return interval(means, mean_of_means, level, resamples, seed, widened=True)


def _few(lengths: Sequence[int], level: float) -> float:
    """How much wider than a bootstrap's percentiles an interval of few elements has to be
    (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4.3).

    Resamples of n have (n - 1) / n of the variance, and its estimate is Student's:
    √(n / (n - 1)) · t / z, which is 2.7 for three seeds and 1.6 for five. Of several strata each
    adds n - 1 degrees of freedom: for three seeds on each of four games it is 1.4.
    """
    n, tail = np.array(lengths, dtype=np.float64), (1 + level) / 2
    quantiles = stats.t.ppf(tail, (n - 1).sum()) / stats.norm.ppf(tail)
    return float(quantiles / np.sqrt(np.mean((n - 1) / n)))


def interval(
    strata: Strata,
    statistic: Statistic,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    widened: bool = False,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic`, elements (n,) resampled within each stratum;
    `widened` about the figure itself, so that it covers what it says where elements are few.

    Strata are independent of each other and may differ in length. The same strata give the same
    interval, and strata of the same lengths the same choice of elements: the resampling is seeded.
    (NaN, NaN) if some stratum has a single element, which cannot be resampled.
    """
    if min(len(elements) for elements in strata) < 2:
        return float("nan"), float("nan")
    result = stats.bootstrap(
        list(strata),
        lambda *resampled, axis: statistic(resampled),  # SciPy says axis -1, as Statistic does
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    low, high = (float(end) for end in result.confidence_interval)
    if not widened:
        return low, high
    value, wider = float(statistic(strata)), _few([len(each) for each in strata], level)
    return value + wider * (low - value), value + wider * (high - value)


def gain_by_chance(groups: Scores, resamples: int = 200, seed: int = 0) -> float:
    """How much larger than the mean of the last group the largest of all groups' means is expected
    to be where all are alike: episodes are dealt anew to the groups. The dealing is seeded.
    """
    pooled, ends = np.concatenate(groups), np.cumsum([len(group) for group in groups])[:-1]
    dealt = np.random.default_rng(seed).permuted(np.tile(pooled, (resamples, 1)), axis=1)
    means = [part.mean(axis=1) for part in np.split(dealt, ends, axis=1)]
    return float(np.mean(np.max(means, axis=0) - means[-1]))


def mean_of_means(strata: Strata) -> NDArray[np.float64]:
    """Strata (..., elements) → (...): every stratum counts the same, however many elements."""
    return np.asarray(np.mean([np.mean(elements, axis=-1) for elements in strata], axis=0))


def pooled_interquartile_mean(strata: Strata) -> NDArray[np.float64]:
    """Strata (..., elements) → (...): mean of the middle half of all elements together.

    A quarter of the elements, rounded down, is dropped at each end.
    """
    return np.asarray(stats.trim_mean(np.concatenate(strata, axis=-1), 0.25, axis=-1))


def normalize(score: ArrayLike, random: float, reference: float) -> NDArray[np.float64]:
    """Gamer-normalised score: 0 is random play, 100 the reference, both from the literature."""
    return 100 * (np.asarray(score, dtype=np.float64) - random) / (reference - random)


def share_of_data(score: float, random: float, data_mean: float) -> float:
    """g = (score - random) / (data mean - random): 0 is random play, 1 the episodes trained on.

    NaN where those are no better than random play: better play would have a smaller g.
    """
    return (score - random) / (data_mean - random) if data_mean > random else float("nan")


def seed_means(scores: Scores) -> NDArray[np.float64]:
    """(seeds,) mean return of each seed's episodes."""
    return np.array([np.mean(episodes) for episodes in scores], dtype=np.float64)
