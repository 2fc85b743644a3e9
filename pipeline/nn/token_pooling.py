"""pool(O_t): the tokens of one step's embedding become one vector (method §2, `token_pooling`).

What enters: tokens (batch, steps, tokens, d_e) float16 with a mask, text first. What leaves:
(batch, steps, width). A step whose tokens are all masked (padding, hidden history) gives finite
numbers from zeros.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.transformer import compute_dtype


class Whitening(nn.Module):
    """Tokens of mean 0 and standard deviation 1 in each dimension, by statistics of the data set.

    LayerNorm leaves LXMERT's tokens nearly alike: what moves on the screen changes them by a few
    per cent, and a policy that starts from the raw tokens stays at the majority class.
    """

    of_data: ClassVar[tuple[str, ...]] = ("mean", "scale")

    mean: Tensor
    scale: Tensor

    def __init__(self, text_tokens: int, embed: int) -> None:
        super().__init__()
        self.parts = (slice(0, text_tokens), slice(text_tokens, None))
        self.register_buffer("mean", torch.zeros(2, embed))
        self.register_buffer("scale", torch.ones(2, embed))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics, (modality, embed) each: text, regions."""
        self.mean.copy_(mean)
        self.scale.copy_(1 / std)

    def forward(self, tokens: Tensor, modality: int) -> Tensor:
        """The tokens of one modality, (…, tokens, embed) on the second-last axis, float32."""
        return self.centre(tokens, modality).mul_(self.scale[modality])

    def centre(self, tokens: Tensor, modality: int) -> Tensor:
        """The same before they are scaled."""
        part = tokens[..., self.parts[modality], :].float()
        if part.dtype is tokens.dtype:  # float() made no copy that may be overwritten
            return part - self.mean[modality]
        return part.sub_(self.mean[modality])


def without_prompts(mask: Tensor, text_tokens: int, probability: float, training: bool) -> Tensor:
    """The mask (batch, steps, tokens) without the prompt, the first tokens of a step, in a random
    share of windows: the prompt tells a_{t-1}. Outside of training in all or none.
    """
    if probability == 0 or (not training and probability < 1):
        return mask
    text = torch.arange(mask.shape[2]) < text_tokens
    hidden = (torch.rand(len(mask), 1, 1) < probability) & text
    return mask & ~hidden.to(mask.device)


class Dropped(Protocol):
    """What settings say of how much training hides."""

    @property
    def history_dropout(self) -> float:
        """Share of windows without prompts."""

    @property
    def region_dropout(self) -> float:
        """Share of a picture's regions, at each step."""


class VisibleTokens(nn.Module):
    """What may be seen of each step: in training not all of it, but without the prompt in a share
    of windows, and without a share of each picture's regions.
    """

    def __init__(self, text_tokens: int, dropped: Dropped) -> None:
        super().__init__()
        self.text_tokens, self.dropped = text_tokens, dropped

    def forward(self, mask: Tensor, dropout: bool = True) -> Tensor:
        """The mask (batch, steps, tokens) without what is hidden; as in play without `dropout`."""
        training = self.training and dropout
        seen = without_prompts(mask, self.text_tokens, self.dropped.history_dropout, training)
        if training and self.dropped.region_dropout > 0:
            hidden = torch.rand(mask.shape) < self.dropped.region_dropout
            hidden[..., : self.text_tokens] = False
            seen = seen & ~hidden.to(mask.device)
        return seen


class AttentionPooling(nn.Module):
    """Learned queries per modality; their weighted means of raw tokens are projected together.

    The key projection is folded into the queries and values are projected after pooling, so the
    cost is O(tokens · d_e · queries) and not O(tokens · d_e²).
    """

    def __init__(self, text_tokens: int, embed: int, queries: int, width: int) -> None:
        super().__init__()
        self.whiten = Whitening(text_tokens, embed)
        size = max(1, width // queries)
        self.queries = nn.Parameter(
            torch.randn(2, queries, embed) / embed**0.5
        )  # (modality, query, embed)
        self.value = nn.Parameter(torch.randn(2, queries, embed, size) / embed**0.5)
        self.output = nn.Linear(2 * queries * size, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pool; see the module."""
        batch, steps = mask.shape[:2]
        tokens, mask = tokens.flatten(0, 1), mask.flatten(0, 1)  # (batch · steps, tokens, …)
        pooled = [
            self._gather(*self._weights(tokens, mask, modality), modality) for modality in (0, 1)
        ]
        projected: Tensor = self.output(torch.cat(pooled, dim=1))
        return projected.view(batch, steps, projected.shape[-1])

    def attention(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """How much of its modality each token is, as a mean of all queries: (batch, steps,
        tokens); 1 in all for each modality that has a token.
        """
        rows = tokens.flatten(0, 1), mask.flatten(0, 1)
        shares = [self._weights(*rows, modality)[1].mean(dim=-1) for modality in (0, 1)]
        return torch.cat(shares, dim=1).view(mask.shape)

    def _weights(self, tokens: Tensor, mask: Tensor, modality: int) -> tuple[Tensor, Tensor]:
        """A modality's tokens less their mean (rows, tokens, embed), and each query's weights of
        them (rows, tokens, queries).
        """
        mask = mask[:, self.whiten.parts[modality]]
        centred = self.whiten.centre(tokens, modality)
        centred = centred.to(compute_dtype(centred.device))
        # Whitening scales; here it scales what tokens are multiplied by, which is less.
        queries = self.queries[modality] * self.whiten.scale[modality]
        scores = centred @ queries.to(centred.dtype).T
        # Finite, so that a row without any real token stays finite; such a row is zeroed
        # afterwards.
        hidden = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -1e4)
        weights = (scores.float() + hidden[..., None]).softmax(dim=1)
        return centred, weights * mask.any(dim=1)[:, None, None]

    def _gather(self, centred: Tensor, weights: Tensor, modality: int) -> Tensor:
        """What each query finds, (rows, queries · size)."""
        pooled = weights.to(centred.dtype).transpose(1, 2) @ centred  # (rows, queries, embed)
        value = self.value[modality] * self.whiten.scale[modality][:, None]
        values: Tensor = _PerQuery.apply(  # type: ignore[no-untyped-call]
            pooled.transpose(0, 1), value.to(pooled.dtype)
        )
        return values.permute(2, 0, 1).flatten(1)  # (queries, size, rows) → (rows, queries · size)


class _PerQuery(torch.autograd.Function):
    """Each query's projection of what it pooled: (queries, rows, embed) and (queries, embed, size)
    → (queries, size, rows).

    The same as `pooled @ value` transposed. Written out, since products on a processor are several
    times slower where the last dimension is as small as `size`, in the gradient of `value` most.
    """

    @staticmethod
    def forward(ctx: Any, pooled: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(pooled, value)
        return value.transpose(1, 2) @ pooled.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        pooled, value = ctx.saved_tensors
        of_pooled = gradient.transpose(1, 2) @ value.transpose(1, 2)  # (queries, rows, embed)
        of_value = (gradient @ pooled).transpose(1, 2)  # (queries, embed, size)
        return of_pooled, of_value


class MeanPooling(nn.Module):
    """The masked mean of each modality, projected together."""

    def __init__(self, text_tokens: int, embed: int, width: int) -> None:
        super().__init__()
        self.whiten = Whitening(text_tokens, embed)
        self.value = nn.Linear(2 * embed, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pool; see the module."""
        means = []
        for modality, part in enumerate(self.whiten.parts):
            weight = mask[:, :, part, None].float()
            total = (self.whiten(tokens, modality) * weight).sum(dim=2)  # (batch, steps, embed)
            means.append(total / weight.sum(dim=2).clamp(min=1))
        projected: Tensor = self.value(torch.cat(means, dim=-1))
        return projected


class FlatPooling(nn.Module):
    """All tokens flattened through two hidden layers: the authors' choice, 56·768 → 5000 → 5000 →
    768.
    """

    def __init__(self, tokens: int, text_tokens: int, embed: int, hidden: int, width: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.whiten = Whitening(text_tokens, embed)
        self.layers = nn.Sequential(
            nn.Linear(tokens * embed, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, width),
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pool; see the module."""
        # The cache has as many region columns as its richest frame, a live frame may have more or
        # fewer. Columns are region by region from the front, so the end is cut or filled.
        tokens = torch.cat([self.whiten(tokens, modality) for modality in (0, 1)], dim=2)
        tokens = tokens * mask[..., None]
        tokens = functional.pad(tokens, (0, 0, 0, self.tokens - tokens.shape[2]))
        flat = tokens.flatten(2)  # (batch, steps, tokens · embed)
        pooled: Tensor = self.layers(flat)
        return pooled


def region_attention(policy: nn.Module, observation: Mapping[str, Tensor]) -> Tensor | None:
    """How much of a picture each of its regions is where `policy` pools by attention, (batch,
    steps, regions), 0 where there is none; None where it does not, or reads no tokens.
    """
    pool = getattr(policy, "pool", None)
    if not isinstance(pool, AttentionPooling):
        return None
    shares = pool.attention(observation["tokens"], observation["mask"])
    return shares[..., pool.whiten.parts[1]]


def build(
    kind: str, tokens: int, text_tokens: int, embed: int, queries: int, width: int
) -> AttentionPooling | MeanPooling | FlatPooling:
    """The pooling that `token_pooling` names, from `tokens` vectors of length `embed` to one of
    length `width`.
    """
    if kind == "attention":
        return AttentionPooling(text_tokens, embed, queries, width)
    if kind == "mean":
        return MeanPooling(text_tokens, embed, width)
    hidden = 5000 * width // 768  # the authors' 5000 at their width
    return FlatPooling(tokens, text_tokens, embed, hidden, width)
