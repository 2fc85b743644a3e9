"""A model of discretised trajectories: each step is a token per number, and each token is predicted
from all before it (Trajectory Transformer, Janner et al. 2021, arXiv 2106.02039).

The columns of a step are read in order, but the last one, the value, is only predicted and never
read: in the original no token attends to it. So where the step's last token is read, two heads
follow, for the value and for the first column of the next step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.decoding import Decoding
from pipeline.nn.discretise import Discretiser
from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Transformer, TransformerShape


@dataclass(frozen=True)
class Columns:
    """What the columns of a step are: s_1 … s_D, a_1 … a_A, r, V."""

    states: int
    """D."""
    actions: int
    """A; the first is column D."""

    @property
    def reward(self) -> int:
        """The column of r."""
        return self.states + self.actions

    @property
    def value(self) -> int:
        """The column of V, the last."""
        return self.reward + 1

    @property
    def count(self) -> int:
        """J."""
        return self.value + 1

    @property
    def kinds(self) -> dict[str, slice]:
        """Which columns are of each kind."""
        ends = (0, self.states, self.reward, self.value, self.count)
        names = ("state", "action", "reward", "value")
        return {name: slice(*ends[i : i + 2]) for i, name in enumerate(names)}


class TokenModel(nn.Module):
    """J columns, of which J − 1 are read; every column has N tokens and an end."""

    def __init__(
        self, shape: TransformerShape, attention_span: int, discretiser: Discretiser
    ) -> None:
        super().__init__()
        self.discretiser = discretiser
        columns, tokens = discretiser.columns, discretiser.bins + 1
        self.read_columns = columns - 1
        """Tokens of a step that are read."""
        self.table = nn.Embedding(self.read_columns * tokens, shape.width)
        self.slope = nn.Parameter(torch.randn(self.read_columns, shape.width) * 0.02)
        self.transformer = Transformer(shape, attention_span, relative=True)
        self.heads = nn.Parameter(torch.randn(columns, shape.width, tokens) * 0.02)
        self.biases = nn.Parameter(torch.zeros(columns, tokens))
        nn.init.normal_(self.table.weight, std=0.02)

    # In.

    def embeddings(self) -> Tensor:
        """Of every token of every column that is read, (J − 1, N + 1, width): one of its own, and
        a line in the value that it stands for.
        """
        means = self.discretiser.means[:-1]  # (J − 1, N)
        spread = means.std(dim=1, keepdim=True).clamp(min=1e-6)
        level = functional.pad((means - means.mean(dim=1, keepdim=True)) / spread, (0, 1))
        own = self.table.weight.view(*level.shape, -1)
        return own + level[..., None] * self.slope[:, None]

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, tokens) of whole steps, the last of which may be cut short → (B, tokens, width)."""
        column = torch.arange(tokens.shape[1], device=tokens.device) % self.read_columns
        return self.embeddings()[column, tokens]

    # Out.

    def predict(self, hidden: Tensor, column: int) -> Tensor:
        """Logits (…, N + 1) of `column`, from the hidden states (…, width) before it."""
        return hidden @ self.heads[column] + self.biases[column]

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of columns 1 … J − 1 of each step, (B, K, J − 1, N + 1), and of column 0 of the
        step after it, (B, K, N + 1), from tokens (B, K, J − 1) of steps that are real by `mask`.
        """
        batch, steps, columns = tokens.shape
        real = mask.repeat_interleave(columns, dim=1)
        positions = Positions.of_steps(0, steps, columns)
        hidden, _ = self.transformer(self.embed(tokens.flatten(1)), positions, real)
        hidden = hidden.view(batch, steps, columns, -1)
        within = torch.einsum("bkcw,cwn->bkcn", hidden, self.heads[1:]) + self.biases[1:]
        return within.float(), self.predict(hidden[:, :, -1], 0).float()

    def begin(self, tokens: Tensor) -> tuple[Tensor, "Continuation"]:
        """The hidden state after `tokens` (rows, tokens), and what goes on from there."""
        tables, bins = self.embeddings(), self.discretiser.bins
        column = torch.arange(tokens.shape[1], device=tokens.device) % self.read_columns
        x = tables[column, tokens]  # as `embed` does
        hidden, decoding = Decoding.begin(self.transformer, x, self.read_columns)
        heads = zip(self.biases[:, :bins].unbind(), self.heads[..., :bins].unbind(), strict=True)
        return hidden, Continuation(decoding, tables.unbind(), tuple(heads))


class Continuation:
    """Rows that tokens are added to, one at a time."""

    def __init__(
        self,
        decoding: Decoding,
        tables: tuple[Tensor, ...],
        heads: tuple[tuple[Tensor, Tensor], ...],
    ) -> None:
        self._decoding, self._tables, self._heads = decoding, tables, heads

    def select(self, rows: Tensor) -> "Continuation":
        """The rows `rows`."""
        return Continuation(self._decoding.select(rows), self._tables, self._heads)

    def feed(self, tokens: Tensor, column: int) -> tuple[Tensor, "Continuation"]:
        """The hidden states (rows, width) after one more token (rows,) of `column`."""
        x = functional.embedding(tokens, self._tables[column])
        hidden, decoding = self._decoding.feed(x)
        return hidden, Continuation(decoding, self._tables, self._heads)

    def bins(self, hidden: Tensor, column: int) -> Tensor:
        """Logits (rows, N) of the bins of `column` alone, from the hidden states before it."""
        bias, weight = self._heads[column]
        return torch.addmm(bias, hidden, weight)
