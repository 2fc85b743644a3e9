"""How a trained policy's attention spreads over the past: the mean weight of each distance in
steps, in every layer and head, over windows of recorded play.

A policy and windows enter; a picture leaves. In a window of M + K steps the step k of the context
reaches the memory at distances above k, so a distance can lie in either part: both are kept apart.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.methods import Learner
from pipeline.nn.transformer import Attention, Transformer
from pipeline.observations.batch import Batch
from pipeline.reporting.figures import style

CONTEXT_COLOR, MEMORY_COLOR = "#4477aa", "#ee7733"


@dataclass(frozen=True)
class Spread:
    """Mean attention weights; `context` + `memory` sum to 1 over the distances."""

    context: NDArray[np.float64]
    """(layers, heads, span + 1), on steps of the window's context."""
    memory: NDArray[np.float64]
    """The same on steps of its long-term memory."""
    context_length: int
    """K."""
    memory_length: int
    """M; 0: the policy has no memory beyond its window."""
    tokens: int
    """How many attending tokens the mean is over; 0: none, and the weights are NaN."""


class _Tally:
    """Sums the weights of the tokens whose whole span is there; shorter pasts would bend the
    mean.
    """

    def __init__(self, transformer: Transformer, memory_length: int) -> None:
        assert transformer.attention_span is not None  # of a policy it is always set
        heads, layers = transformer.shape.heads, transformer.shape.layers
        self.distances = torch.arange(transformer.attention_span + 1)
        self.sums = torch.zeros(2, layers, heads, len(self.distances), dtype=torch.float64)
        self.tokens = 0
        self._has_memory = memory_length > 0

    def add(self, layer: int, module: Attention, arguments: tuple[Any, ...]) -> None:
        """One call of a layer, before it runs."""
        _, (mask, distance, _), past = arguments
        if self._has_memory and past is None:
            return  # this call is making the memory
        whole = (mask[:, 0] & (distance == self.distances[-1])).any(dim=-1)  # (batch, tokens)
        weights = module.weights(*arguments) * whole[:, None, :, None]
        of_memory = torch.arange(weights.shape[-1]) < (0 if past is None else past.key.shape[2])
        at = (distance[..., None] == self.distances).float()  # (tokens, past + tokens, span + 1)
        for part, keys in enumerate((~of_memory, of_memory)):
            self.sums[part, layer] += torch.einsum("bhqk,qkd->hd", weights * keys, at)
        if layer == 0:
            self.tokens += int(whole.sum())


def measure(learner: Learner, batches: Sequence[Batch]) -> Spread:
    """The spread of `learner`'s attention over `batches`; PipelineError if it has none."""
    transformer = next((part for part in learner.modules() if isinstance(part, Transformer)), None)
    if transformer is None:
        raise PipelineError(
            f"{type(learner).__name__} has no transformer, so no attention can be drawn"
        )
    memory, context = learner.settings.memory, learner.settings.context_length
    tally = _Tally(transformer, memory)
    with _watched(transformer, tally), torch.no_grad():
        for batch in batches:
            learner.read(batch)
    means = tally.sums.numpy() / (tally.tokens or np.nan)
    return Spread(means[0], means[1], context, memory, tally.tokens)


def draw(spread: Spread, title: str, path: Path) -> None:
    """Save a picture with a row per layer and a panel per head."""
    layers, heads, distances = spread.context.shape
    figure = Figure(figsize=(2.6 * heads, 1.9 * layers + 1.4), layout="constrained")
    panels = figure.subplots(layers, heads, sharex=True, sharey=True, squeeze=False)
    for (layer, head), axes in np.ndenumerate(panels):
        context, memory = spread.context[layer, head], spread.memory[layer, head]
        axes.bar(range(distances), context, color=CONTEXT_COLOR, label="on the window's context")
        if spread.memory_length:
            axes.bar(
                range(distances), memory, bottom=context, color=MEMORY_COLOR, label="on its memory"
            )
        share = f": {memory.sum():.0%} on memory" if spread.memory_length else ""
        axes.set_title(f"layer {layer + 1}, head {head + 1}{share}", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(labelsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("distance in steps", fontsize=9)
    panels[0, 0].set_ylim(0, 1.05 * float(np.nan_to_num(spread.context + spread.memory).max()) or 1)
    figure.supylabel("mean attention weight", fontsize=9)
    count = f"mean over {spread.tokens:,} tokens" if spread.tokens else "no window is long enough"
    lengths = f"K = {spread.context_length}, M = {spread.memory_length}"
    figure.suptitle(f"{title}\n{lengths}; {count}", fontsize=10)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    if spread.memory_length:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False
        )
    style.save(figure, path)


@contextmanager
def _watched(transformer: Transformer, tally: _Tally) -> Iterator[None]:
    """Inside the block `tally` sees every call of every layer's attention."""
    layers = [part for part in transformer.modules() if isinstance(part, Attention)]
    hooks = [
        layer.register_forward_pre_hook(partial(tally.add, index))
        for index, layer in enumerate(layers)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
