"""Targets that know their neighbours."""

import math

import pytest
import torch
from torch.nn import functional

from pipeline.nn.histogram_loss import histogram_loss

N, ORDERED = 6, 5


def test_it_is_the_cross_entropy_to_a_normal_density_over_bins() -> None:
    logits = torch.randn(2, 3, N, generator=torch.Generator().manual_seed(0))
    bins = torch.tensor([[0, 2, 5], [4, 1, 3]])
    loss = histogram_loss(logits, bins, 0.8, ORDERED)
    for place in [(i, j) for i in range(2) for j in range(3)]:
        goal, log_p = int(bins[place]), logits[place].log_softmax(dim=0).tolist()
        near = [math.exp(-0.5 * ((j - goal) / 0.8) ** 2) for j in range(ORDERED)]
        expected = -sum(x * log_p[j] for j, x in enumerate(near)) / sum(near)
        if goal >= ORDERED:  # a bin without neighbours
            expected = -log_p[goal]
        assert float(loss[place]) == pytest.approx(expected, rel=1e-5)


def test_no_width_is_the_plain_cross_entropy() -> None:
    logits, bins = torch.randn(4, 3, N), torch.randint(0, N, (4, 3))
    plain = functional.cross_entropy(logits.flatten(0, 1), bins.flatten(), reduction="none")
    torch.testing.assert_close(histogram_loss(logits, bins, 0, ORDERED).flatten(), plain)


def test_a_near_miss_costs_less_than_a_far_one() -> None:
    sure = 5 * functional.one_hot(torch.tensor([1, 2, 4]), N).float()
    near, middle, far = histogram_loss(sure, torch.ones(3, dtype=torch.int64), 1, N).tolist()
    assert near < middle < far
