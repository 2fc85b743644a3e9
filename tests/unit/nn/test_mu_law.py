"""Numbers bent by the μ-law and cut into bins, and back."""

import math

import pytest
import torch

from pipeline.nn.mu_law import bent, binned, middles

MU, LARGEST, BINS = 100.0, 256.0, 1024


def straightened(y: torch.Tensor, mu: float, largest: float) -> torch.Tensor:
    """The way back."""
    return y.sign() * (y.abs() * math.log1p(largest * mu)).expm1() / mu


def test_the_law_keeps_order_and_ends_at_one() -> None:
    x = torch.linspace(-LARGEST, LARGEST, 2001)
    y = bent(x, MU, LARGEST)
    assert (y.diff() > 0).all()
    ends = bent(torch.tensor([-LARGEST, 0, LARGEST]), MU, LARGEST)
    torch.testing.assert_close(ends, torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(straightened(y, MU, LARGEST), x, rtol=1e-4, atol=1e-5)


def test_a_number_comes_back_within_its_bin() -> None:
    """The error is at most half a bin, mapped back through the law."""
    x = torch.cat((torch.linspace(-300, 300, 999), torch.linspace(-1, 1, 999)))
    y = bent(x, MU, LARGEST)
    tokens = binned(y, BINS)
    assert tokens.min() == 0
    assert tokens.max() == BINS - 1
    middle = middles(tokens, BINS)
    inside = x.abs() <= LARGEST
    assert ((middle - y).abs()[inside] <= 1 / BINS + 1e-6).all()
    low, high = (straightened(middle + side / BINS, MU, LARGEST) for side in (-1, 1))
    assert ((low - 1e-3 <= x) & (x <= high + 1e-3))[inside].all()
    assert torch.equal(binned(middle, BINS), tokens)


@pytest.mark.parametrize("bins", [2, 7, 1024])
def test_bins_are_of_equal_width_and_hold_what_lies_beyond(bins: int) -> None:
    everything = torch.arange(bins)
    torch.testing.assert_close(middles(everything, bins).diff(), torch.full((bins - 1,), 2 / bins))
    beyond = binned(torch.tensor([-5.0, -1.0, 1.0, 5.0]), bins)
    assert beyond.tolist() == [0, 0, bins - 1, bins - 1]
