"""Dropout at the ends of its range."""

import pytest
import torch

from pipeline.nn.dropout import Dropout


@pytest.mark.parametrize("probability", [0.5, 0.999999])
def test_so_many_are_dropped(probability: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(probability)(torch.ones(10_000, requires_grad=True)) == 0
    assert abs(float(dropped.float().mean()) - probability) < 0.02
