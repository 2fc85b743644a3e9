"""Stored observations of several games as one store: steps are numbered on from game to game.

Pixels have one shape everywhere. Embeddings of games differ in the number of tokens: they are
padded to the longest, where `mask` is False.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.observations import Observation, ObservationStore


class StoreOfSeveral:
    """See `pipeline.observations.ObservationStore`."""

    def __init__(self, parts: Sequence[ObservationStore], tasks: Sequence[str]) -> None:
        """Stores of `tasks`, in that order; PipelineError where their observations do not fit."""
        self._parts = parts
        lengths = np.array([part.steps for part in parts])
        self._first = np.cumsum(lengths) - lengths
        self.steps = int(lengths.sum())
        self.shape = _common_shape([part.shape for part in parts], tasks)
        self.attributes = _common_attributes([part.attributes for part in parts])

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """Observations of `steps` (B, S); negative steps give zeros."""
        of = np.where(steps < 0, -1, np.searchsorted(self._first, steps, side="right") - 1)
        gathered: Observation = {}
        for number, part in enumerate(self._parts):
            rows = np.flatnonzero((of == number).any(axis=1))
            if not len(rows):
                continue
            here = of[rows] == number  # (rows, S)
            found = part.gather(np.where(here, steps[rows] - self._first[number], -1))
            row, column = np.nonzero(here)
            for name, tensor in found.items():
                if name not in gathered:
                    whole = (*steps.shape, *self.shape[name])
                    gathered[name] = torch.zeros(whole, dtype=tensor.dtype)
                taken = tensor[row, column]
                into = gathered[name]
                if taken.shape[1:] != self.shape[name]:  # the first tokens of so many
                    into = into[:, :, : taken.shape[1]]
                into[rows[row], column] = taken
        return gathered


def _common_shape(
    shapes: Sequence[Mapping[str, tuple[int, ...]]], tasks: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Of each tensor, with as many tokens as the longest has."""
    first = shapes[0]
    for shape, task in zip(shapes, tasks, strict=True):
        rest = [{name: (len(size), *size[1:]) for name, size in s.items()} for s in (first, shape)]
        if rest[0] != rest[1]:
            raise PipelineError(
                f"observations of {tasks[0]} are {dict(first)}, of {task} {dict(shape)}; one "
                "policy needs the same features for all of its games"
            )
    return {name: (max(s[name][0] for s in shapes), *size[1:]) for name, size in first.items()}


def _common_attributes(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the stores agree on, and what standardises the pixels of all games, each with the same
    weight. What differs from game to game is in the games' own attributes.
    """
    first, *others = parts
    common = {
        name: value
        for name, value in first.items()
        if not isinstance(value, np.ndarray) and all(o.get(name) == value for o in others)
    }
    if "pixel_mean" in first:
        means = np.stack([part["pixel_mean"] for part in parts])
        deviations = np.array([part["pixel_std"] for part in parts])
        between = np.square(means - means.mean(axis=0)).mean()
        common["pixel_mean"] = means.mean(axis=0)
        common["pixel_std"] = float(np.sqrt(np.square(deviations).mean() + between))
    return common
