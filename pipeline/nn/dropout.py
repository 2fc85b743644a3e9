"""What makes an input uncertain in training: dropout whose random numbers are drawn on the
processor, and which does nothing where no gradient is taken; the dropout of what whole windows
remember of their actions; and noise.
"""

import torch
from torch import Tensor, nn


class _Dropout(torch.autograd.Function):
    """Dropout from 16 random bits per element: on a CPU several times faster than the library's
    Bernoulli draws.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, probability: float) -> Tensor:
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64)
        bits = words.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
        keep = (bits >= min(round(probability * 65536), 65535) - 32768).to(x.device)
        scale = keep.to(x.dtype).mul_(1 / (1 - probability))
        ctx.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * scale, None


class Dropout(nn.Module):
    """Dropout that is on only where a gradient is taken: the memory is computed as it will be when
    acting.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of the elements of `x` and scale the others up."""
        if not (self.training and self.probability > 0 and torch.is_grad_enabled()):
            return x
        dropped: Tensor = _Dropout.apply(x, self.probability)  # type: ignore[no-untyped-call]
        return dropped


class HistoryDropout(nn.Module):
    """Hides what a window tells of its past actions in a random share of windows, so that a policy
    does not merely repeat them; with a share of 1 always, in play too.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Zero all steps of a share of the windows `x` (batch, steps, width)."""
        if self.probability == 1 or (self.probability > 0 and self.training):
            kept = torch.rand(len(x), 1, 1) >= self.probability
            x = x * kept.to(x.device)
        return x


class Noise(nn.Module):
    """Adds normal noise of a given deviation in training, and nothing else."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """As large as `x`."""
        if not (self.training and self.deviation > 0):
            return x
        return x + self.deviation * torch.randn(x.shape).to(x.device)
