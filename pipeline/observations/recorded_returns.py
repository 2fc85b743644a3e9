"""The discounted return that was recorded after each step, of the windows of a batch: what values
are learned from without trusting other values.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.data.statistics import discounted_returns
from pipeline.data.trajectories import Trajectories
from pipeline.observations.batch import Batch

QUANTILE = 0.95
"""Of the size of returns, that they are divided by."""


class RecordedReturns(nn.Module):
    """Σ_k γ^k sign(r_{t+k}) of every recorded step of one or several data sets, one after another
    as their windows count steps, each divided by what is usual in it. Needed in training only: no
    checkpoint holds it.
    """

    returns: Tensor
    known: Tensor

    def __init__(self, data: Sequence[Trajectories], discount: float, unknown_steps: int) -> None:
        """The last `unknown_steps` before a cut are not known: what followed was not recorded."""
        super().__init__()
        returns = [discounted_returns(each, discount, np.sign(each.rewards)) for each in data]
        scales = [_scale(each) for each in returns]
        self.scales = torch.tensor(scales, dtype=torch.float32)
        """(data sets,) the scale of each."""
        scaled = [each / scale for each, scale in zip(returns, scales, strict=True)]
        known = [_known(each, unknown_steps) for each in data]
        for name, values in (
            ("returns", np.concatenate(scaled).astype(np.float32)),
            ("known", np.concatenate(known)),
        ):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scaled returns of the context's steps (B, K), and whether they are known and real."""
        context = batch.mask[:, batch.context]
        ago = torch.arange(1 - context.shape[1], 1, device=context.device)
        steps = (batch.index[:, None] + ago).clamp(min=0)  # padding is masked
        return self.returns[steps], self.known[steps] & context


def _scale(returns: NDArray[np.float64]) -> float:
    """1 where there are no returns."""
    return float(np.quantile(np.abs(returns), QUANTILE)) or 1.0


def _known(data: Trajectories, unknown_steps: int) -> NDArray[np.bool_]:
    """(T,)"""
    left = (data.starts + data.episode_length)[data.episode] - np.arange(len(data.rewards))
    known: NDArray[np.bool_] = data.terminated[data.episode] | (left > unknown_steps)
    return known
