"""How far apart two samples are: the maximum mean discrepancy (Gretton et al. 2012)."""

from typing import Literal

from torch import Tensor

Kernel = Literal["laplacian", "gaussian"]
SMALLEST = 1e-6
"""Added to the square, whose root has no slope at 0."""


def mmd(x: Tensor, y: Tensor, kernel: Kernel, bandwidth: float) -> Tensor:
    """√(mean k(x, x') + mean k(y, y') − 2 mean k(x, y)) of each column: (n, B, A), (m, B, A) →
    (B,).

    k is e^{−|x − y|₁ / 2σ} or e^{−|x − y|² / 2σ}, with the sums over components; pairs of a sample
    with itself are counted.
    """

    def mean(first: Tensor, second: Tensor) -> Tensor:
        apart = first[:, None] - second[None]  # (n, m, B, A)
        apart = apart.abs() if kernel == "laplacian" else apart.square()
        return (-apart.sum(dim=-1) / (2 * bandwidth)).exp().mean(dim=(0, 1))

    square = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    return (square.clamp(min=0) + SMALLEST).sqrt()
