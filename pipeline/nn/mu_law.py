"""Numbers ↔ tokens without a look at the data (Gato; Reed et al. 2022, arXiv 2205.06175): bent by
the μ-law into [-1, 1], which is cut into bins of equal width.
"""

import math

import torch
from torch import Tensor


def bent(x: Tensor, mu: float, largest: float) -> Tensor:
    """sgn(x) ln(|x| μ + 1) / ln(M μ + 1): [-M, M] → [-1, 1], fine where numbers are small."""
    return x.sign() * (x.abs() * mu).log1p() / math.log1p(largest * mu)


def binned(y: Tensor, bins: int) -> Tensor:
    """Numbers in [-1, 1], beyond which all are in the outermost bins → int64 in 0 … bins − 1."""
    found: Tensor = ((y.clamp(-1, 1) + 1) / 2 * bins).long().clamp(max=bins - 1)
    return found


def middles(tokens: Tensor, bins: int) -> Tensor:
    """The middle of each token's bin, in [-1, 1]."""
    return (2 * tokens.to(torch.float32) + 1) / bins - 1
