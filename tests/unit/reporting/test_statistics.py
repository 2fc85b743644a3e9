"""The figures of a table, against plain loops."""

import math
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from resampling import Strata, assert_bootstrap_interval, mean_by_loop

from pipeline.reporting import statistics


@pytest.fixture
def scores() -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(3)
    return [rng.normal(10 * seed, 5, size=10) for seed in range(3)]


def test_mean_and_deviation_are_across_seeds() -> None:
    scores = [np.array([1.0, 3.0]), np.array([5.0, 7.0]), np.array([4.0, 4.0])]
    assert statistics.mean(scores) == pytest.approx(4.0)
    assert statistics.deviation(scores) == pytest.approx(2.0)
    assert np.isnan(statistics.deviation(scores[:1]))


def test_interquartile_mean_drops_a_quarter_at_each_end() -> None:
    scores = [np.array([1.0, 100.0, 4.0, 3.0]), np.array([2.0, 5.0, 6.0, -50.0])]
    assert statistics.interquartile_mean(scores) == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_interval_agrees_with_a_plain_loop(scores: list[NDArray[np.float64]]) -> None:
    """Of one seed's episodes; of several seeds it is that of their means, widened."""
    for episodes in scores:
        interval = statistics.confidence_interval([episodes])
        assert_bootstrap_interval(interval, [episodes], mean_by_loop)
    means = np.array([episodes.mean() for episodes in scores])
    narrow = np.array(statistics.interval([means], statistics.mean_of_means))
    wide = np.array(statistics.confidence_interval(scores))
    factor = math.sqrt(3 / 2) * 4.302653 / 1.959964  # Student's t of two degrees of freedom
    np.testing.assert_allclose(wide - means.mean(), factor * (narrow - means.mean()), rtol=1e-6)


def test_interval_of_any_statistic_and_strata_of_any_length() -> None:
    rng = np.random.default_rng(4)
    strata = [rng.normal(size=8), rng.exponential(size=13), rng.integers(0, 3, size=11) / 2]

    def middle(resampled: Strata) -> float:
        ordered = sorted(value for elements in resampled for value in elements)
        return sum(ordered[8:24]) / 16

    interval = statistics.interval(strata, statistics.pooled_interquartile_mean)
    assert statistics.pooled_interquartile_mean(strata) == pytest.approx(middle(strata))
    assert_bootstrap_interval(interval, strata, middle)


def test_level_and_seed_of_an_interval(scores: list[NDArray[np.float64]]) -> None:
    wide, narrow = (statistics.confidence_interval(scores, level) for level in (0.99, 0.5))
    assert wide[0] < narrow[0] < statistics.mean(scores) < narrow[1] < wide[1]
    one = scores[:1]
    assert statistics.confidence_interval(one, seed=1) != statistics.confidence_interval(one)


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_interval_covers_the_truth_as_often_as_it_says(spread: float) -> None:
    """Five seeds of ten episodes, whose deviation is 1; `spread` is that of the seeds."""
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(1000):
        seeds = rng.normal(3, spread, size=(5, 1))
        low, high = statistics.confidence_interval([*rng.normal(seeds, 1, (5, 10))], resamples=300)
        covered.append(low <= 3 <= high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_interval_is_reproducible(scores: list[NDArray[np.float64]]) -> None:
    assert statistics.confidence_interval(scores) == statistics.confidence_interval(scores)


def test_constant_seeds_have_an_interval_without_width() -> None:
    constant = [np.full(10, 100.0) for _ in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert statistics.confidence_interval(constant) == (100.0, 100.0)


def test_a_single_episode_has_no_interval() -> None:
    assert np.isnan(statistics.confidence_interval([np.array([1.0])])).all()
    low, high = statistics.confidence_interval([np.array([1.0]), np.array([2.0])])
    assert low < 1 < 2 < high  # two seeds have


def test_normalized_scores_and_share() -> None:
    assert statistics.normalize([2, 30, 16], random=2, reference=30).tolist() == [0, 100, 50]
    assert statistics.share_of_data(15, random=5, data_mean=25) == pytest.approx(0.5)
    for data_mean in (5, 4):  # better play would have a smaller share of less than random
        assert np.isnan(statistics.share_of_data(6, random=5, data_mean=data_mean))


def test_the_best_of_groups_that_are_alike_gains_by_chance() -> None:
    alike = [np.ones(3), np.ones(2)]
    assert statistics.gain_by_chance(alike) == 0
    # the larger one is in the last group every second time
    pair = [np.array([0.0]), np.array([1.0])]
    assert statistics.gain_by_chance(pair, 4000) == pytest.approx(0.5, abs=0.03)
    # of three normal draws the largest is expected .846 deviations above any of them
    draws = [*np.random.default_rng(0).normal(size=(3, 400))]
    expected = 0.846 * np.std(draws) / 20
    assert statistics.gain_by_chance(draws, 4000) == pytest.approx(expected, rel=0.05)
