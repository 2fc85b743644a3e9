"""Distributions over returns: their projection, their mean, and where they begin."""

import pytest
import torch
from torch import nn

from pipeline.nn.categorical_values import CategoricalHead, Support, cross_entropy

SUPPORTS = [(-1.5, 2.5, 51), (-10.0, 30.0, 51), (-1.0, 1.0, 2)]


def distributions(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).mul(2).softmax(dim=-1)


@pytest.mark.parametrize("support", SUPPORTS)
def test_a_projection_shares_each_return_between_its_neighbours(
    support: tuple[float, float, int],
) -> None:
    """By the form that is written down: Σ_j p_j [1 − |z_j − z_i| / Δ]_0^1 (Bellemare et al., 7)."""
    torch.manual_seed(0)
    of, (low, high, count) = Support(*support), support
    returns, mass = torch.randn(4, 3, 20) * (high - low), distributions(4, 3, 20)
    found = of.projected(returns, mass)
    inside = returns.clamp(low, high)
    away = (inside[..., None, :] - of.atoms[:, None]).abs() * (count - 1) / (high - low)
    expected = ((1 - away).clamp(min=0) * mass[..., None, :]).sum(dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(4, 3))
    assert (found >= 0).all()
    # inside of the support the mean is kept
    mean = (found * of.atoms).sum(dim=-1)
    torch.testing.assert_close(mean, (inside * mass).sum(dim=-1), atol=1e-4, rtol=1e-4)


def test_certain_returns_are_where_they_are() -> None:
    of = Support(-1.0, 1.0, 5)
    certain = of.at(torch.tensor([-1.0, 0.5, 0.25, 7.0]))
    expected = [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 1]]
    torch.testing.assert_close(certain, torch.tensor(expected))


def test_a_mean_is_inside_the_support() -> None:
    of = Support(-1.5, 2.5, 51)
    torch.manual_seed(0)
    logits = torch.randn(100, 51) * 50
    mean = of.mean(logits)
    assert ((mean >= -1.5) & (mean <= 2.5)).all()
    torch.testing.assert_close(mean, (logits.softmax(dim=-1) * of.atoms).sum(dim=-1))
    assert of.mean(torch.full((51,), 3.0)).item() == pytest.approx(0.5, abs=1e-5)  # the middle


@pytest.mark.parametrize("support", SUPPORTS[:2])
def test_values_begin_at_zero(support: tuple[float, float, int]) -> None:
    of = Support(*support)
    torch.manual_seed(0)
    head = CategoricalHead(32, 6, of)
    share = (of.high - of.low) / 4
    assert of.mean(head(torch.randn(20, 32))).abs().max() < 0.1 * share
    for each in head.layers:
        if isinstance(each, nn.Linear):
            nn.init.zeros_(each.weight)
    assert of.mean(head(torch.randn(20, 32))).abs().max() < 2e-3 * share
    assert head(torch.randn(2, 5, 32)).shape == (2, 5, 6, 51)


def test_the_cross_entropy_is_least_at_the_goal() -> None:
    torch.manual_seed(0)
    goal = distributions(8, 11)
    least = cross_entropy(goal.log(), goal)
    torch.testing.assert_close(least, -(goal * goal.log()).sum(dim=-1))
    assert (cross_entropy(torch.randn(8, 11), goal) > least).all()
