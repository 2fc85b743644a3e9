"""Numbers ↔ tokens: every column of a data set is cut into bins that hold equally many of its
values, and a token stands for the mean of what fell into its bin.

Quantiles, as in Trajectory Transformer (Janner et al. 2021, arXiv 2106.02039). Its code stands for
a bin by its mid-point, which where values are rare lies far from all of them: a bin of rewards that
holds one penalty of −100 beside many of 1 would be read as −49.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Discretiser(nn.Module):
    """J columns in N bins each, and a further token, `end`, for what comes after an end.

    Built without data it knows nothing yet: its buffers come from a checkpoint.
    """

    edges: Tensor
    """(J, N − 1) ascending; bin k holds edges[k − 1] ≤ x < edges[k]."""
    means: Tensor
    """(J, N) of the values in each bin."""

    def __init__(self, columns: int, bins: int) -> None:
        super().__init__()
        self.columns, self.bins, self.end = columns, bins, bins
        self.register_buffer("edges", torch.zeros(columns, bins - 1))
        self.register_buffer("means", torch.zeros(columns, bins))

    def fit(self, values: NDArray[np.float32]) -> None:
        """Take bins from recorded `values` (T, J), of which T ≥ 1 are finite."""
        shares = np.arange(1, self.bins) / self.bins
        for column, x in enumerate(values.T.astype(np.float32)):
            edges = np.quantile(x, shares, method="inverted_cdf").astype(np.float32)
            self.edges[column] = torch.from_numpy(edges)
            self.means[column] = torch.from_numpy(_means(x, edges))

    def tokens(self, values: Tensor, first: int = 0) -> Tensor:
        """(…, C) numbers of the columns from `first` on → (…, C) int64 in 0 … N − 1; what lies
        beyond all that was recorded is in the outermost bins.
        """
        edges = self.edges[first : first + values.shape[-1]]
        by_column = values.movedim(-1, 0)
        found = torch.searchsorted(edges, by_column.flatten(1).contiguous(), right=True)
        return found.view(by_column.shape).movedim(0, -1)

    def values(self, tokens: Tensor, first: int = 0) -> Tensor:
        """(…, C) tokens of the columns from `first` on → (…, C) means of their bins. The token
        `end` has no value and gives 0.
        """
        columns = torch.arange(first, first + tokens.shape[-1], device=tokens.device)
        found = self.means[columns, tokens.clamp(max=self.bins - 1)]
        return torch.where(tokens == self.end, 0, found)

    def expected(self, logits: Tensor, column: int) -> Tensor:
        """The mean of a column (…) under the softmax of `logits` (…, N), which are of its bins."""
        return logits.softmax(dim=-1) @ self.means[column]


def _means(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the values in each bin; of a bin that is empty, because its edges are one, that edge."""
    bins = np.searchsorted(edges, values, side="right")
    count = np.bincount(bins, minlength=len(edges) + 1)
    sums = np.bincount(bins, weights=values.astype(np.float64), minlength=len(edges) + 1)
    nearest = edges[np.minimum(np.arange(len(edges) + 1), len(edges) - 1)]
    means = np.where(count > 0, sums / np.maximum(count, 1), nearest).astype(np.float32)
    # rounding must not carry a mean into the next bin: it stays within what fell into its own
    low, high = np.full(len(count), np.inf, np.float32), np.full(len(count), -np.inf, np.float32)
    np.minimum.at(low, bins, values)
    np.maximum.at(high, bins, values)
    clipped: NDArray[np.float32] = np.where(count > 0, np.clip(means, low, high), means)
    return clipped
