"""The figures of a table, against plain loops."""

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
    assert_bootstrap_interval(statistics.confidence_interval(scores), scores, mean_by_loop)


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
    assert statistics.confidence_interval(scores, seed=1) != statistics.confidence_interval(scores)


def test_confidence_interval_keeps_its_numbers() -> None:
    """Published tables rest on them."""
    low, high = statistics.confidence_interval([np.arange(10.0) ** 2, np.arange(7.0) * 5])
    assert (low, high) == pytest.approx((13.071071428571429, 30.951250000000005), rel=1e-12)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    samples = rng.normal(loc=3, scale=2, size=(200, 20))
    intervals = [statistics.confidence_interval([sample], resamples=500) for sample in samples]
    covered = np.mean([low <= 3 <= high for low, high in intervals])
    assert 0.85 <= covered < 1


def test_interval_is_stratified_and_reproducible(scores: list[NDArray[np.float64]]) -> None:
    assert statistics.confidence_interval(scores) == statistics.confidence_interval(scores)


def test_constant_seeds_have_an_interval_without_width() -> None:
    constant = [np.full(10, seed * 100.0) for seed in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert statistics.confidence_interval(constant) == (100.0, 100.0)


def test_a_single_episode_has_no_interval() -> None:
    assert np.isnan(statistics.confidence_interval([np.array([1.0]), np.array([2.0])])).all()
    assert np.isnan(statistics.confidence_interval([np.arange(9.0), np.array([2.0])])).all()


def test_normalized_scores_and_share() -> None:
    assert statistics.normalize([2, 30, 16], random=2, reference=30).tolist() == [0, 100, 50]
    assert statistics.share_of_data(15, random=5, data_mean=25) == pytest.approx(0.5)
    assert np.isnan(statistics.share_of_data(1, random=5, data_mean=5))
