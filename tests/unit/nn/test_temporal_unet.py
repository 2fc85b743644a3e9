"""Convolutions over the steps of a trajectory."""

import pytest
import torch
from torch.nn import functional

from pipeline.nn.temporal_unet import StepConvolution, TemporalReader, TemporalUNet

CHANNELS = (16, 24, 32)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (3, 2), (1, 1)])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_a_convolution_is_a_convolution(kernel: int, stride: int, steps: int) -> None:
    torch.manual_seed(0)
    ours, x = StepConvolution(3, 4, kernel, stride), torch.randn(2, steps, 3)
    weight = ours.weight.view(4, kernel, 3).transpose(1, 2)
    expected = functional.conv1d(x.transpose(1, 2), weight, ours.bias, stride, kernel // 2)
    torch.testing.assert_close(ours(x), expected.transpose(1, 2))


@pytest.mark.parametrize("steps", [2, 4, 5, 16, 31])
def test_trajectories_of_any_length_keep_it(steps: int) -> None:
    torch.manual_seed(0)
    net, x = TemporalUNet(5, CHANNELS, 1), torch.randn(3, steps, 5)
    read = net(x, torch.tensor([4]))
    assert read.shape == x.shape
    torch.testing.assert_close(net(x, torch.tensor([4, 4, 4])), read)
    assert (net(x, torch.tensor([4, 5, 4])) - read).abs().amax(dim=(1, 2)).gt(1e-4).tolist() == [
        *(False, True, False)
    ]
    torch.testing.assert_close(net(x[1:2], torch.tensor([4])), read[1:2])
    number = TemporalReader(5, steps, CHANNELS, 1)(x, torch.tensor([4]))
    assert number.shape == (3,)


def test_every_step_is_read_with_every_other() -> None:
    torch.manual_seed(0)
    net, reader = TemporalUNet(5, CHANNELS, 1), TemporalReader(5, 16, CHANNELS, 1)
    x = torch.randn(1, 16, 5).requires_grad_()
    for read in (net(x, torch.tensor([0]))[0, -1].sum(), reader(x, torch.tensor([0])).sum()):
        (gradient,) = torch.autograd.grad(read, x)
        assert (gradient.abs().amax(dim=-1) > 0).all()


def test_all_weights_but_unused_ones_are_trained() -> None:
    net = TemporalUNet(5, CHANNELS, 2)
    net(torch.randn(3, 8, 5), torch.tensor([1])).square().sum().backward()
    assert all(each.grad is not None for each in net.parameters())
