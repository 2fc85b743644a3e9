"""Each method's losses and gradients on a device against those on the processor: same weights, same
windows, float32.

Dropout is off. Noise that a method needs for its losses is drawn on the processor for both, even
where the method would draw it on the device, so that all losses can be compared. After each loss
both take the same small step, for what comes after it in a method may depend on that.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks._outcome import Outcome, judged
from benchmarks._random_data import Sizes, built, settings
from pipeline.methods import Learner
from pipeline.observations.batch import Batch

LOSS, GRADIENT = 1e-4, 1e-3
"""Largest relative differences that pass. Rounding of float32 makes 1e-6 to 1e-5; products in TF32,
a wrong mask or other weights make more.
"""
SMALL_LOSS = 1e-2
"""A loss is compared to no less, for one may pass through zero."""
SMALL_GRADIENT = 1e-3
"""A tensor's gradient is compared to no less than this share of the largest of its loss: some, as
of attention's key biases, are zero but for rounding.
"""
STEPS = (0, 9_999_999)
"""Numbers of updates: the first, and a late one, where methods have other losses; it is odd and the
next is a multiple of most intervals.
"""
RATE, SPREAD, SEED = 1e-3, 0.02, 1
DRAWS = ("rand", "normal", "uniform", "bernoulli", "exponential", "multinomial")


class Found(NamedTuple):
    """One loss of an update."""

    name: str
    loss: float
    gradients: tuple[Tensor, ...]
    """Of the parameters of its optimiser, on the processor."""


class DrawnOnProcessor(TorchDispatchMode):
    """Random numbers of any device are drawn on the processor inside the block."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [x for x in args if isinstance(x, Tensor)]
        device = tensors[0].device if tensors else torch.device(kwargs.get("device") or "cpu")
        if not name.startswith(DRAWS) or device.type == "cpu":
            return func(*args, **kwargs)
        here, told = tree_map_only(Tensor, on_processor, (args, kwargs))
        if told.get("device") is not None:
            told["device"] = torch.device("cpu")
        drawn = func(*here, **told)
        return args[0].copy_(drawn) if name.endswith("_") else drawn.to(device)


def on_processor(x: Tensor) -> Tensor:
    """`x`, or something of its shape where it has no content."""
    return torch.ones_like(x, device="cpu") if x.is_meta else x.cpu()


def compared(method: str, kind: str, policy: Mapping[str, object], device: str) -> Outcome:
    """The row of one method that reads one kind of observation."""
    config = settings(method, kind, **{**policy, "dropout": 0.0})
    learner, windows = built(config, Sizes())
    scatter(learner.train())
    ends = windows.drawn_from(np.arange(len(windows.trajectories.actions)))
    batch = windows.batch(np.random.default_rng(SEED).choice(ends, 16, replace=False))
    exact, found = list[Found](), list[Found]()
    for step in STEPS:
        here, there = (copy.deepcopy(learner).to(each) for each in ("cpu", device))
        right = list(update(here, batch, step))
        with other_arithmetic(device):
            found += update(there, batch.to(device), step, right)
        exact += right
    return outcome(exact, found)


def outcome(exact: Sequence[Found], found: Sequence[Found]) -> Outcome:
    """What their differences mean; NaN passes nothing, and no loss at all does not either."""
    loss, gradient = differences(exact, found)
    names = ", ".join(dict.fromkeys(each.name for each in exact))
    measured = f"loss {loss:.1e}, gradient {gradient:.1e} ({names})"
    passes = bool(exact) and loss <= LOSS and gradient <= GRADIENT
    return judged(measured, f"{LOSS:.0e}, {GRADIENT:.0e}", passes)


def scatter(learner: Learner) -> None:
    """Move all weights a little, so that none is zero, or one network another's copy, as at the
    start.
    """
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=SPREAD)


def update(
    learner: Learner, batch: Batch, step: int, steps: Sequence[Found] | None = None
) -> Iterator[Found]:
    """The losses of one update, with a step after each: down `steps`, or down its own gradient."""
    optimised = learner.optimised()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        losses = iter(learner.losses(batch, step))
        for index in count():
            with DrawnOnProcessor():
                computed = next(losses, None)
            if computed is None:
                return
            name, loss = computed
            chosen = [each for each in optimised[name].parameters() if each.requires_grad]
            own = torch.autograd.grad(loss, chosen, allow_unused=True, materialize_grads=True)
            gradients = tuple(each.cpu() for each in own)
            descend(chosen, steps[index].gradients if steps else gradients)
            yield Found(name, float(loss.detach()), gradients)


@torch.no_grad()
def descend(parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    """A small step."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.sub_(gradient.to(parameter.device), alpha=RATE)


def differences(exact: Sequence[Found], found: Sequence[Found]) -> tuple[float, float]:
    """The largest relative differences, of losses and of gradients."""
    assert [each.name for each in exact] == [each.name for each in found]
    loss, gradient = 0.0, 0.0
    for one, other in zip(exact, found, strict=True):
        loss = _larger(loss, abs(one.loss - other.loss) / max(abs(one.loss), SMALL_LOSS))
        sizes = [float(each.abs().max()) for each in one.gradients]
        least = SMALL_GRADIENT * max(sizes) or 1.0
        for size, a, b in zip(sizes, one.gradients, other.gradients, strict=True):
            gradient = _larger(gradient, float((a - b).abs().max()) / max(size, least))
    return loss, gradient


def _larger(one: float, other: float) -> float:
    """The larger of two; NaN if one is."""
    return float(np.maximum(one, other))


@contextmanager
def other_arithmetic(device: str) -> Iterator[None]:
    """A card without TF32; in place of a card the processor without its library of convolutions,
    so that two ways are compared there too.
    """
    if device == "cpu":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # setting a flag back warns of other vendors' cards
            with torch.backends.mkldnn.flags(enabled=False):
                yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield
