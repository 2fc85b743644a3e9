"""The figures of a table, against plain loops."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline import statistics


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
    rng = np.random.default_rng(0)
    means = []
    for _ in range(4000):
        resampled = []
        for episodes in scores:
            picks = [episodes[rng.integers(len(episodes))] for _ in range(len(episodes))]
            resampled.append(sum(picks) / len(picks))
        means.append(sum(resampled) / len(resampled))
    low, high = statistics.confidence_interval(scores, resamples=4000)
    spread = np.std(means)
    assert low == pytest.approx(np.percentile(means, 2.5), abs=0.15 * spread)
    assert high == pytest.approx(np.percentile(means, 97.5), abs=0.15 * spread)


def test_interval_is_stratified_and_reproducible(scores: list[NDArray[np.float64]]) -> None:
    assert statistics.confidence_interval(scores) == statistics.confidence_interval(scores)
    constant = [np.full(10, seed * 100.0) for seed in range(3)]
    assert statistics.confidence_interval(constant) == pytest.approx((100.0, 100.0))


def test_a_single_episode_has_no_interval() -> None:
    assert np.isnan(statistics.confidence_interval([np.array([1.0]), np.array([2.0])])).all()


def test_normalized_scores_and_share() -> None:
    assert statistics.normalize([2, 30, 16], random=2, reference=30).tolist() == [0, 100, 50]
    assert statistics.share_of_data(15, random=5, data_mean=25) == pytest.approx(0.5)
    assert np.isnan(statistics.share_of_data(1, random=5, data_mean=5))
