"""Attention pooling against a plain loop, and its gradient against finite differences."""

import torch
from torch import Tensor

from pipeline.nn.token_pooling import AttentionPooling, _PerQuery

TEXT, EMBED, QUERIES, WIDTH = 2, 5, 3, 6


def by_loop(pool: AttentionPooling, tokens: Tensor, mask: Tensor) -> Tensor:
    """One row, one query at a time: whiten, weigh, project."""
    found = []
    for row, real in zip(tokens, mask, strict=True):
        parts = []
        for modality, part in enumerate((slice(0, TEXT), slice(TEXT, None))):
            mean, scale = pool.whiten.mean[modality], pool.whiten.scale[modality]
            seen = ((row[part].float() - mean) * scale)[real[part]]
            for query, value in zip(pool.queries[modality], pool.value[modality], strict=True):
                weights = (seen @ query).softmax(dim=0)
                parts.append((weights @ seen) @ value if len(seen) else value.new_zeros(2))
        found.append(pool.output(torch.cat(parts)))
    return torch.stack(found)


def test_pooling_equals_a_loop() -> None:
    torch.manual_seed(0)
    pool = AttentionPooling(TEXT, EMBED, QUERIES, WIDTH)
    pool.whiten.fit(torch.randn(2, EMBED), torch.rand(2, EMBED) + 0.5)
    tokens, mask = torch.randn(4, 7, EMBED).half(), torch.rand(4, 7) < 0.7
    mask[1, :TEXT] = False  # nothing of one modality
    mask[2] = False
    got = pool(tokens[:, None], mask[:, None])[:, 0]
    torch.testing.assert_close(got, by_loop(pool, tokens, mask), rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_projection() -> None:
    torch.manual_seed(0)
    pooled = torch.randn(QUERIES, 4, EMBED, dtype=torch.float64, requires_grad=True)
    value = torch.randn(QUERIES, EMBED, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_PerQuery.apply, (pooled, value))
