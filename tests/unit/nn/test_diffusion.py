"""Noise by levels: what is added, what is known of it, and the guide along a gradient."""

import pytest
import torch

from pipeline.nn.diffusion import CosineSchedule, ascended

T = 20


def test_the_schedule_is_a_cosine() -> None:
    schedule = CosineSchedule(T)

    def curve(i: int) -> torch.Tensor:
        return torch.cos(torch.tensor((i / T + 0.008) / 1.008 * torch.pi / 2)) ** 2

    expected = [1 - float(curve(i + 1) / curve(i)) for i in range(T)]
    torch.testing.assert_close(schedule.added[:-1], torch.tensor(expected[:-1]), atol=1e-5, rtol=0)
    assert float(schedule.added[-1]) == pytest.approx(0.999)
    torch.testing.assert_close(schedule.kept, (1 - schedule.added).cumprod(0))
    assert float(schedule.kept[-1]) < 1e-4


@pytest.mark.parametrize("level", [1, 7, T - 1])
def test_the_posterior_is_bayes_rule(level: int) -> None:
    """q(x_{t−1} | x_t, x_0) ∝ N(x_t; √(1 − β) x_{t−1}, β) N(x_{t−1}; √ᾱ' x_0, 1 − ᾱ')."""
    schedule = CosineSchedule(T)
    clean, noisy = torch.randn(2, 50).double()
    added, before = (float(x) for x in (schedule.added[level], schedule.kept[level - 1]))
    precision = (1 - added) / added + 1 / (1 - before)
    mean = ((1 - added) ** 0.5 * noisy / added + before**0.5 * clean / (1 - before)) / precision
    found, deviation = schedule.posterior(clean, noisy, level)
    torch.testing.assert_close(found, mean, atol=1e-5, rtol=1e-4)
    assert deviation**2 == pytest.approx(1 / precision, rel=1e-3)


def test_the_least_noise_leaves_what_was_read() -> None:
    clean, noisy = torch.randn(2, 9)
    mean, deviation = CosineSchedule(T).posterior(clean, noisy, 0)
    torch.testing.assert_close(mean, clean)
    assert deviation == 0


def test_noise_has_the_variance_of_its_level() -> None:
    schedule, clean = CosineSchedule(T), torch.full((20_000, 3), 2.0)
    torch.manual_seed(0)
    for level in (0, 9, T - 1):
        noisy = schedule.noised(clean, torch.full((20_000,), level), torch.randn(clean.shape))
        kept = float(schedule.kept[level])
        assert float(noisy.mean()) == pytest.approx(2 * kept**0.5, abs=0.02)
        assert float(noisy.var()) == pytest.approx(1 - kept, rel=0.03)
    each = torch.tensor([0, 19])
    noise = torch.randn(2, 3)
    apart = [schedule.noised(clean[:1], each[i : i + 1], noise[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(schedule.noised(clean[:2], each, noise), torch.cat(apart))


def test_the_guide_goes_up_a_quadratic_and_leaves_what_is_given() -> None:
    torch.manual_seed(0)
    x, best = torch.randn(4, 3, 2), torch.randn(3, 2)
    fixed = torch.zeros(3, 2, dtype=torch.bool)
    fixed[0, 1] = True
    with torch.no_grad():
        moved = ascended(x, lambda y: -(y - best).square().sum(dim=(1, 2)), 0.1, 1, fixed)
        torch.testing.assert_close((moved - x)[:, ~fixed], (0.1 * 2 * (best - x))[:, ~fixed])
        assert torch.equal(moved[:, fixed], x[:, fixed])
        twice = ascended(x, lambda y: -(y - best).square().sum(dim=(1, 2)), 0.1, 2, fixed)
    torch.testing.assert_close((twice - best)[:, ~fixed], 0.64 * (x - best)[:, ~fixed])
    assert not twice.requires_grad
