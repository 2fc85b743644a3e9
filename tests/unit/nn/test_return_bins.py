"""Returns in bins: nothing is lost on their centres, and experts' returns against closed forms."""

import numpy as np
import pytest
import torch

from pipeline.nn.return_bins import ReturnBins, best_drawn, drawn, of_experts, uniform


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(121, -20.0, 100.0), (60, -0.02, 3.234), (60, 0.0, 1.0), (2, -1.0, 5.0)],
)
def test_the_centre_of_a_bin_is_read_as_that_bin(count: int, low: float, high: float) -> None:
    bins = ReturnBins(count)
    bins.fit(low, high)
    every = torch.arange(count)
    centres = bins.decode(every)
    assert torch.equal(bins.encode(centres), every)
    torch.testing.assert_close(bins.decode(bins.encode(centres)), centres)
    torch.testing.assert_close(centres[[0, -1]], torch.tensor([low, high]))
    torch.testing.assert_close(bins.level(centres), torch.linspace(-1, 1, count))


def test_what_is_between_goes_to_the_nearest_and_what_is_beyond_to_the_outermost() -> None:
    bins = ReturnBins(121, -20, 100)
    told = torch.tensor([-300.0, -20.4, 0.4, 0.6, 99.9, 4000.0])
    assert bins.decode(bins.encode(told)).tolist() == [-20, -20, 0, 1, 100, 100]


def test_bins_of_data_without_rewards_are_finite() -> None:
    bins = ReturnBins(60)
    bins.fit(0.0, 0.0)
    told = torch.tensor([0.0, 1.0])
    assert bins.decode(bins.encode(told)).tolist() == [0, 0]
    assert bins.level(told).abs().max() <= 1


def test_an_expert_s_returns_are_by_bayes_rule() -> None:
    torch.manual_seed(0)
    bins, kappa = ReturnBins(121, -20, 100), 10.0
    logits = 3 * torch.randn(5, bins.count)
    prior = logits.double().softmax(dim=-1).numpy()
    posterior = np.empty_like(prior)
    for row in range(len(prior)):
        for each in range(bins.count):
            value = float(bins.decode(torch.tensor(each)))
            posterior[row, each] = prior[row, each] * np.exp(kappa * (value + 20) / 120)
        posterior[row] /= posterior[row].sum()
    found = of_experts(logits.double(), kappa).softmax(dim=-1)
    np.testing.assert_allclose(found, posterior, atol=1e-6)
    assert torch.equal(of_experts(logits, 0.0), logits)


def test_draws_follow_their_probabilities() -> None:
    logits = torch.tensor([0.5, -torch.inf, 2.0, 0.0, -torch.inf])
    even = (torch.arange(100_000) + 0.5) / 100_000
    found = drawn(logits.expand(len(even), -1), even.double())
    shares = torch.bincount(found, minlength=5) / len(even)
    torch.testing.assert_close(shares, logits.softmax(dim=-1), atol=1e-4, rtol=0)
    edges = drawn(logits.expand(2, -1), torch.tensor([0.0, 1.0]).double())
    assert edges.tolist() == [0, 3]


@pytest.mark.parametrize("n", [1, 8, 128])
def test_the_best_of_n_draws_is_distributed_as_the_nth_power(n: int) -> None:
    torch.manual_seed(0)
    logits, draws = torch.randn(20), 20_000
    found = best_drawn(logits.expand(draws, -1), torch.rand(draws, n).double())
    expected = logits.softmax(dim=-1).cumsum(dim=-1) ** n
    reached = torch.bincount(found, minlength=20).cumsum(dim=0) / draws
    torch.testing.assert_close(reached, expected, atol=0.015, rtol=0)


def test_the_best_draw_is_the_largest_of_single_ones() -> None:
    torch.manual_seed(0)
    logits, uniforms = torch.randn(50, 121), torch.rand(50, 16).double()
    each = torch.stack([drawn(logits, uniforms[:, i]) for i in range(16)])
    assert torch.equal(best_drawn(logits, uniforms), each.amax(dim=0))


def test_normal_noise_becomes_uniform() -> None:
    torch.manual_seed(0)
    found = uniform(torch.randn(200_000))
    quantiles = torch.quantile(found, torch.tensor([0.01, 0.25, 0.5, 0.9]).double())
    expected = torch.tensor([0.01, 0.25, 0.5, 0.9]).double()
    torch.testing.assert_close(quantiles, expected, atol=0.005, rtol=0)
    assert float(uniform(torch.zeros(()))) == 0.5
