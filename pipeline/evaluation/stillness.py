"""Whether an episode stands still: steps in which nothing that matters changes.

In a game it is the screen that tells, without its top, where scores stand: a step is still if the
screen after it was shown before within `SECONDS`. So a player who runs to and fro while no ball is
in play stands still, and so does a ball that goes round in circles. The console's memory does not
do: it has counters that tick whatever happens, and which bytes they are differs from game to game.
A robot stands still where its torso is where it was a second ago, or lies on its back.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

SECONDS = 5
"""Of play: how far back a screen is compared, and how long an episode has to stand still to be
reported.
"""
SHARE = 0.5
"""Of still steps, above which an episode stands still as well: a player who moves is at a new place
now and then.
"""
DISTANCE = 0.02
"""Metres that a torso has to move in a second."""


@runtime_checkable
class Shown(Protocol):
    """A game whose screen can be compared."""

    step_seconds: float

    def glance(self) -> int:
        """A checksum of what matters on the screen."""
        ...


@runtime_checkable
class Walker(Protocol):
    """A robot whose torso can be followed."""

    step_seconds: float

    def torso(self) -> tuple[NDArray[np.float64], float]:
        """Place of the torso (3,) in metres, and how upright it is: 1 as at the start, -1 on its
        back.
        """
        ...


class Stillness:
    """Follows one episode; an environment that is neither of these never stands still."""

    def __init__(self, game: object) -> None:
        """`game` has just begun."""
        self.steps = self.still = self.run = self.longest = 0
        self._seen: dict[int, int] = {}
        self._places: list[NDArray[np.float64]] = []
        self._look: Callable[[], bool] = lambda: False
        if isinstance(game, Shown):
            self._look = partial(self._shown_before, game, SECONDS / game.step_seconds)
        elif isinstance(game, Walker):
            self._look = partial(self._stays, game, round(1 / game.step_seconds))
        self._look()

    def step(self) -> bool:
        """After each step: whether it was still."""
        self.steps += 1
        still = self._look()
        self.still += still
        self.run = self.run + 1 if still else 0
        self.longest = max(self.longest, self.run)
        return still

    @property
    def share(self) -> float:
        """Of the steps so far."""
        return self.still / max(self.steps, 1)

    def _shown_before(self, game: Shown, steps: float) -> bool:
        shown = game.glance()
        before = self._seen.get(shown)
        self._seen[shown] = self.steps
        return before is not None and self.steps - before <= steps

    def _stays(self, game: Walker, steps: int) -> bool:
        place, upright = game.torso()
        self._places.append(place)
        if upright < 0:
            return True
        if self.steps < steps:
            return False
        moved: float = np.abs(place - self._places[self.steps - steps]).max()
        return bool(moved < DISTANCE)


def limit(game: object) -> int | None:
    """Steps in a row after which an episode is said to stand still; None if that is not seen."""
    if isinstance(game, Shown | Walker):
        return round(SECONDS / game.step_seconds)
    return None
