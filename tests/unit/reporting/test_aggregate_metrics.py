"""Figures across games, against closed forms and plain loops."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from resampling import Strata, assert_bootstrap_interval, mean_by_loop
from scipy import stats

from pipeline.errors import PipelineError
from pipeline.reporting.aggregate_metrics import (
    Estimate,
    Runs,
    estimate,
    paired_difference,
    performance_profile,
    probability_of_improvement,
)
from pipeline.reporting.statistics import mean_of_means, pooled_interquartile_mean, seed_means


def runs(seed: int, *counts: int) -> Strata:
    """Coarse scores, so that many runs tie."""
    rng = np.random.default_rng(seed)
    return [rng.normal(40 + 5 * seed, 20, size=count).round(-1) for count in counts]


X = runs(1, 9, 12, 10)
Y = runs(2, 7, 8, 15)
PAIRED = runs(2, 9, 12, 10)
ESTIMATES: dict[str, Callable[[Runs, Runs], Estimate]] = {
    "interquartile mean": lambda x, y: estimate(x, pooled_interquartile_mean),
    "probability of improvement": probability_of_improvement,
    "paired difference": paired_difference,
    "performance profile": lambda x, y: performance_profile(x, [50])[0],
}


def wins(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """P(X > Y) + P(X = Y) / 2 by the double loop."""
    score = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y)
    return score / (len(x) * len(y))


def percentiles(figure: Estimate, strata: Strata) -> tuple[float, float]:
    """The ends of an interval before it was widened for few runs."""
    lengths = [len(runs) for runs in strata]
    kept = sum((n - 1) / n for n in lengths) / len(lengths)
    factor = stats.t.ppf(0.975, sum(lengths) - len(lengths)) / stats.norm.ppf(0.975) / kept**0.5
    low, high = (figure.value + (end - figure.value) / factor for end in figure[1:])
    return float(low), float(high)


def test_a_run_is_the_mean_of_its_episodes() -> None:
    """Agarwal et al. aggregate runs, not episodes: two good episodes do not outvote a bad run."""
    games = [[np.array([0.0, 4.0]), np.array([6.0])], [np.array([9.0]), np.array([1.0, 1.0, 1.0])]]
    assert estimate([seed_means(game) for game in games], mean_of_means).value == 4.5


def test_interquartile_mean_pools_the_games() -> None:
    games = [np.array([1.0, 2.0, 3.0, 1000.0]), np.array([-1000.0, 4.0, 5.0, 6.0])]
    assert estimate(games, pooled_interquartile_mean).value == pytest.approx((2 + 3 + 4 + 5) / 4)
    ordered = sorted(np.concatenate(X))
    figure = estimate(X, pooled_interquartile_mean)
    assert figure.value == pytest.approx(np.mean(ordered[7:-7]))
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize(
    ("x", "y", "probability"),
    [
        ([4, 5, 6], [1, 2, 3], 1),
        ([1, 2, 3], [4, 5], 0),
        ([1, 2, 3], [1, 2, 3], 0.5),
        ([7, 7], [7, 7, 7], 0.5),
        ([2, 4, 6], [1, 3, 5], 6 / 9),
        ([1, 2], [2, 3], 0.5 / 4),
    ],
    ids=["above", "below", "equal", "constant", "interleaved", "one tie"],
)
def test_probability_of_improvement_in_closed_form(
    x: list[float], y: list[float], probability: float
) -> None:
    game = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
    assert probability_of_improvement([game[0]], [game[1]]).value == pytest.approx(probability)
    above = np.array([1.0, 1.0]), np.array([0.0, 0.0])
    both = probability_of_improvement([game[0], above[0]], [game[1], above[1]])
    assert both.value == pytest.approx((probability + 1) / 2)


def test_probability_of_improvement_agrees_with_loops() -> None:
    def mean_wins(strata: Strata) -> float:
        return sum(wins(strata[game], strata[3 + game]) for game in range(3)) / 3

    figure = probability_of_improvement(X, Y)
    assert figure.value == pytest.approx(mean_wins([*X, *Y]))
    assert_bootstrap_interval(percentiles(figure, [*X, *Y]), [*X, *Y], mean_wins)


def test_either_method_is_better_or_they_tie() -> None:
    x_over_y, y_over_x = probability_of_improvement(X, Y), probability_of_improvement(Y, X)
    assert x_over_y.value + y_over_x.value == pytest.approx(1)
    assert x_over_y.value == pytest.approx(
        probability_of_improvement([np.exp(x / 50) for x in X], [np.exp(y / 50) for y in Y]).value
    )


def test_paired_difference_of_a_shift_is_the_shift() -> None:
    shifted = [scores + 30 for scores in X]
    assert paired_difference(shifted, X) == (30, 30, 30)
    independent = estimate([*X, *shifted], lambda s: mean_of_means(s[3:]) - mean_of_means(s[:3]))
    assert independent.value == pytest.approx(30)
    assert independent.high - independent.low > 5


def test_paired_difference_agrees_with_loops() -> None:
    games = zip(X, PAIRED, strict=True)
    differences = [np.array([a - b for a, b in zip(*game, strict=True)]) for game in games]
    figure = paired_difference(X, PAIRED)
    assert figure.value == pytest.approx(mean_by_loop(differences))
    assert_bootstrap_interval(percentiles(figure, differences), differences, mean_by_loop)
    assert paired_difference(PAIRED, X).value == pytest.approx(-figure.value)


@pytest.mark.parametrize("name", ["interquartile mean", "paired difference"])
def test_an_interval_of_few_runs_covers_the_truth_as_often_as_it_says(name: str) -> None:
    """Three runs on each of two games; percentiles of resamples would cover it in 78 to 86 %."""
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(500, 2, 2, 3))
    figures = [ESTIMATES[name]([*x], [*y]) for x, y in draws]
    covered = np.mean([figure.low <= 0 <= figure.high for figure in figures])
    assert 0.92 <= covered <= 0.98


def test_a_probability_stays_one() -> None:
    figure = probability_of_improvement([np.array([1.0, 3.0, 4.0])], [np.array([0.0, 2.0, 1.5])])
    assert 0 < figure.low < figure.value < figure.high == 1  # widened, it would end beyond


def test_performance_profile_of_a_known_sample() -> None:
    games = [np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.0, 2.0])]
    shares = [figure.value for figure in performance_profile(games, [-1, 0, 1.5, 2, 3])]
    assert shares == pytest.approx([1, (3 / 4 + 1) / 2, (2 / 4 + 1) / 2, (1 / 4) / 2, 0])


def test_performance_profile_agrees_with_counting() -> None:
    thresholds = np.linspace(-20, 120, 29)
    profile = performance_profile(X, thresholds)

    def share(strata: Strata, threshold: float) -> float:
        return mean_by_loop([np.array([s > threshold for s in scores]) for scores in strata])

    for threshold, figure in zip(thresholds, profile, strict=True):
        assert figure.value == pytest.approx(share(X, threshold))
        assert figure.low <= figure.value <= figure.high
    assert (np.diff(np.array(profile), axis=0) <= 0).all()
    for index in (11, 14):
        low_high = profile[index].low, profile[index].high
        assert_bootstrap_interval(low_high, X, lambda s, at=thresholds[index]: share(s, at))


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimates_are_reproducible(name: str) -> None:
    figure = ESTIMATES[name](X, PAIRED)
    assert figure == ESTIMATES[name](X, PAIRED)
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize("name", ESTIMATES)
def test_constant_runs_have_an_interval_without_width(name: str) -> None:
    constant = [np.full(5, 3.0), np.full(5, 7.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = ESTIMATES[name](constant, constant)
    assert figure.low == figure.value == figure.high


@pytest.mark.parametrize("name", ESTIMATES)
def test_a_single_run_has_a_figure_and_no_interval(name: str) -> None:
    single = [np.arange(5.0), np.array([80.0])]
    figure = ESTIMATES[name](single, single)
    assert np.isfinite(figure.value)
    assert np.isnan([figure.low, figure.high]).all()


def test_runs_that_do_not_match_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"9, 12, 10 runs per game .* 7, 8, 15 on the other"):
        paired_difference(X, Y)
    with pytest.raises(PipelineError, match="9, 12, 10"):
        paired_difference(X, PAIRED[:2])
    with pytest.raises(PipelineError, match="3 games with runs on 2"):
        probability_of_improvement(X, Y[:2])
