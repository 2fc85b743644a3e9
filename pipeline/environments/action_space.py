"""The actions of an environment: one of several, or a vector of torques.

Everything that holds actions, from recordings to checkpoints, has an `ActionSpace`: how many
actions there are, their names, and which are allowed. No torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-5
"""A component may exceed its bound by so much: recordings are rounded to single precision."""

Action = int | NDArray[Any]
"""One action: an index, or a float32 vector (size,)."""
Actions = NDArray[Any]
"""Several: (…,) int64 indices, or (…, size) float32 vectors."""


@dataclass(frozen=True)
class ActionSpace:
    """The actions of an environment."""

    names: tuple[str, ...]
    """Of the actions, upper-case, in the order of their indices ("NOOP", "FIRE", …); or of the
    components of a continuous action, in order ("thigh", …).
    """
    continuous: bool = False
    noop: int = 0
    """The discrete action that does nothing."""
    low: tuple[float, ...] = ()
    """(size,) least value of each component; empty if discrete."""
    high: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """The number of actions, or of components."""
        return len(self.names)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one action in an array of several."""
        return (self.size,) if self.continuous else ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of arrays of actions."""
        return np.dtype(np.float32 if self.continuous else np.int64)

    def start(self) -> Actions:
        """a_{-1} of every episode (decision D1): the action that does nothing, `row_shape`."""
        return np.full(self.row_shape, 0 if self.continuous else self.noop, self.dtype)

    def fault(self, actions: Actions) -> str | None:
        """What is wrong with the first unsound of `actions` (T, …), in words; None if all are
        sound.
        """
        if actions.shape[1:] != self.row_shape or actions.dtype != self.dtype:
            kind = f"vectors of {self.size}" if self.continuous else "indices"
            return (
                f"actions are {actions.dtype} {actions.shape[1:]}, expected {kind} ({self.dtype})"
            )
        if self.continuous:
            low, high = np.array(self.low) - TOLERANCE, np.array(self.high) + TOLERANCE
            unsound = ~((actions >= low) & (actions <= high))  # NaN is in no interval
        else:
            unsound = (actions < 0) | (actions >= self.size)
        if not unsound.any():
            return None
        step, *component = (int(index) for index in np.argwhere(unsound)[0])
        if not component:
            names = ", ".join(self.names)
            return f"action {actions[step]} at step {step}; allowed: 0 to {self.size - 1} ({names})"
        (i,) = component
        return (
            f"action {actions[step, i]:g} of {self.names[i]!r} at step {step}; "
            f"allowed: {self.low[i]:g} to {self.high[i]:g}"
        )

    def caption(self, action: Action) -> str:
        """One action in words, for people."""
        if not self.continuous:
            return self.names[int(action)]
        pairs = zip(self.names, np.asarray(action).tolist(), strict=True)
        return ", ".join(f"{name} {value:+.2f}" for name, value in pairs)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "names": list(self.names),
            "continuous": self.continuous,
            "noop": self.noop,
            "low": list(self.low),
            "high": list(self.high),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; raises KeyError or TypeError for anything else."""
        return cls(
            tuple(content["names"]),
            bool(content["continuous"]),
            int(content["noop"]),
            tuple(content["low"]),
            tuple(content["high"]),
        )


def joined(spaces: Sequence[ActionSpace], order: Sequence[str] = ()) -> ActionSpace:
    """One space with every action that any of several discrete `spaces` has, by name.

    The names of `order` come first, whether a space has them or not: so that agents of different
    games agree on the indices. Raises ValueError where a space is continuous.
    """
    if any(space.continuous for space in spaces):
        raise ValueError("continuous actions cannot be joined by name")
    known = dict.fromkeys([*order, *(name for space in spaces for name in space.names)])
    nothing = spaces[0].names[spaces[0].noop]
    return ActionSpace(names=tuple(known), noop=list(known).index(nothing))


def places(space: ActionSpace, within: ActionSpace) -> NDArray[np.int64]:
    """(space.size,) the index in `within` of each action of `space`, by name.

    Raises ValueError where `within` lacks one.
    """
    return np.array([within.names.index(name) for name in space.names], np.int64)


@dataclass(frozen=True)
class Numbering:
    """A game's own discrete actions among those that a policy of several games chooses from."""

    own: ActionSpace
    choices: ActionSpace

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(own.size,) the choice of each action; see `places`."""
        return places(self.own, self.choices)

    def choice(self, actions: Actions) -> Actions:
        """The game's actions (…,) as choices."""
        numbered: Actions = self.places[actions]
        return numbered

    def decision(self, decided: NDArray[Any]) -> NDArray[Any]:
        """What was decided about choices as a decision about the game's actions: logits (B,
        choices) → (B, own.size), or indices (B,).

        Raises ValueError where an index is of an action that the game lacks.
        """
        if decided.dtype != np.int64:
            return decided[..., self.places]
        own = np.full(self.choices.size, -1)
        own[self.places] = np.arange(self.own.size)
        actions: NDArray[np.int64] = own[decided]
        if (actions < 0).any():
            name = self.choices.names[int(decided[actions < 0][0])]
            raise ValueError(
                f"{name} was chosen, and the game has {', '.join(self.own.names)} only"
            )
        return actions
