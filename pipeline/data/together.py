"""Recordings of several games as one, with actions numbered as a policy of all numbers them."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace, places


def renumbered(data: Trajectories, space: ActionSpace, choices: ActionSpace) -> Trajectories:
    """The same episodes, with the actions of `space` numbered as those of their names in `choices`.

    Raises ValueError where `choices` lacks one.
    """
    return replace(data, actions=places(space, choices)[data.actions])


def concatenated(parts: Sequence[Trajectories]) -> Trajectories:
    """The episodes of all parts, one part after the other; None of what one of them lacks."""
    together: dict[str, Any] = {
        field.name: _concatenated([getattr(part, field.name) for part in parts])
        for field in fields(Trajectories)
        if field.name != "source"
    }
    sources = dict.fromkeys(part.source for part in parts)
    return Trajectories(**together, source="; ".join(sources))


def _concatenated(values: list[object]) -> object:
    """Arrays, or tuples of texts, put together; None if that cannot be."""
    if any(value is None for value in values):
        return None
    if isinstance(values[0], tuple):
        return tuple(text for value in values for text in value)  # type: ignore[attr-defined]
    arrays = [np.asarray(value) for value in values]
    if len({array.shape[1:] for array in arrays}) > 1:
        return None
    return np.concatenate(arrays)
