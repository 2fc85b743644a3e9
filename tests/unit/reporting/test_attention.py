"""Attention as it is looked at is attention as it is computed, and its spread is a plain mean."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from policies import batch_of, padded, policy_of
from torch import Tensor

from pipeline.config.methods import TransformerSettings
from pipeline.nn.kv_cache import KeyValue, Positions, band_mask, distances
from pipeline.nn.transformer import Attention, AttentionContext
from pipeline.reporting.figures import attention

WIDTH, HEADS, SPAN = 16, 2, 4


@pytest.mark.parametrize("past_steps", [0, 3])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("conditioned", [True, False])
def test_values_by_weight_are_what_the_layer_mixes(
    conditioned: bool, relative: bool, past_steps: int
) -> None:
    torch.manual_seed(0)
    shape = TransformerSettings(width=WIDTH, layers=1, heads=HEADS)
    layer = Attention(shape, SPAN, conditioned, relative).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    batch, steps = 3, 5
    x, returns = torch.randn(batch, steps, WIDTH), torch.rand(batch, steps)
    keys = Positions.of_steps(0, past_steps + steps, 1)
    queries = keys.slice(past_steps, None)
    real = torch.rand(batch, past_steps + steps) < 0.7
    past = None
    if past_steps:
        sizes = batch, HEADS, past_steps, WIDTH // HEADS
        past = KeyValue(torch.randn(sizes), torch.randn(sizes))
    mask, distance = band_mask(queries, keys, real, SPAN), distances(queries, keys, SPAN)
    arguments = x, AttentionContext(mask, distance, returns if conditioned else None), past
    expected, own = layer(*arguments)
    weights = layer.weights(*arguments)
    assert weights.shape == (batch, HEADS, steps, past_steps + steps)
    torch.testing.assert_close(weights.sum(-1), torch.ones(batch, HEADS, steps))
    values = own.value if past is None else torch.cat((past.value, own.value), dim=2)
    mixed = (weights @ values).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(layer.output(mixed), expected, atol=1e-5, rtol=0)


def calls_of(policy: Any, batches: list[Any]) -> list[tuple[int, tuple[Any, ...], Tensor]]:
    """(layer, arguments, weights) of every call of an attention layer."""
    layers = [module for module in policy.modules() if isinstance(module, Attention)]
    calls: list[tuple[int, tuple[Any, ...], Tensor]] = []
    hooks = [
        layer.register_forward_pre_hook(
            lambda module, given, i=i: calls.append((i, given, module.weights(*given)))
        )
        for i, layer in enumerate(layers)
    ]
    with torch.no_grad():
        for batch in batches:
            policy.read(batch)
    for hook in hooks:
        hook.remove()
    return calls


@pytest.mark.parametrize("method", ["more3s", "decision_transformer"])
def test_the_spread_is_a_plain_mean(method: str) -> None:
    policy = policy_of(method)
    memory, steps = policy.settings.memory, policy.settings.memory + policy.settings.context_length
    batches = [
        batch_of(method, 4, steps, memory),
        padded(batch_of(method, 3, steps - 2, memory, seed=2), 2),
    ]
    span = policy.transformer.attention_span
    sums: dict[tuple[str, int, int, int], float] = defaultdict(float)
    tokens = 0
    for layer, (_, (mask, distance, _), past), weights in calls_of(policy, batches):
        remembered = 0 if past is None else past.key.shape[2]
        if memory and not remembered:
            continue
        for row in range(len(weights)):
            for query in range(weights.shape[2]):
                seen = [k for k in range(weights.shape[3]) if mask[row, 0, query, k]]
                if not any(distance[query, k] == span for k in seen):
                    continue
                tokens += layer == 0
                for head in range(weights.shape[1]):
                    for key in seen:
                        part = "memory" if key < remembered else "context"
                        place = part, layer, head, int(distance[query, key])
                        sums[place] += float(weights[row, head, query, key])
    spread = attention.measure(policy, batches)
    assert spread.tokens == tokens > 0
    assert spread.context.shape == (2, 2, span + 1)
    for (part, *place), total in sums.items():
        assert getattr(spread, part)[tuple(place)] == pytest.approx(total / tokens, abs=1e-6)
    np.testing.assert_allclose((spread.context + spread.memory).sum(-1), 1, atol=1e-5)
    assert bool(spread.memory.any()) == (memory > 0)
    assert not any(m._forward_pre_hooks for m in policy.modules())


def test_a_picture_is_drawn_also_where_nothing_could_be_measured(tmp_path: Path) -> None:
    policy = policy_of("more3s")
    for name, batches in (("some.png", [batch_of("more3s", 2, 6, 3)]), ("none.png", [])):
        spread = attention.measure(policy, batches)
        assert (spread.tokens > 0) == bool(batches)
        attention.draw(spread, "a policy", tmp_path / name)
        assert np.asarray(Image.open(tmp_path / name)).std() > 1
