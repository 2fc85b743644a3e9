"""FIRE pressed for the player where a game waits for it, as the field's FireReset wrappers do.

All games of the emulator were tried to find out which ones wait (`python -m benchmarks.serving`;
`resources/serving.csv` holds the observations). A game that waits again and again while a life
lasts is not served. There FIRE is a move, a serve in tennis or a throw in bowling, and the player
chooses when to make it.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ale_py

from pipeline.environments import _console

LOOKED_AHEAD = 32
"""Emulator frames without an action in which a game that waits stands still."""
BLINKING = 6
"""Different screens that a game may show in them all the same."""
PRESS = 4
"""Emulator frames of a press."""
WATCHED = 1500
"""Emulator frames after a start or a lost life in which the wait may begin: lives end slowly."""


@dataclass(frozen=True)
class Waits:
    """When a game waits for FIRE."""

    at_start: bool
    after_life: bool


WAITS = {
    "breakout": Waits(at_start=True, after_life=True),
    "donkey_kong": Waits(at_start=True, after_life=True),
    "gopher": Waits(at_start=False, after_life=True),
    "video_pinball": Waits(at_start=True, after_life=True),
}
"""By ROM; `resources/serving.csv` says the same, and a test compares them."""


class Server:
    """Watches one console; the press is the environment's own, so that its frames are drawn.

    What would happen is tried on a second console, which has no sticky actions. The first one would
    forget its last action, which sticky actions repeat.
    """

    _console: ale_py.ALEInterface

    def __init__(self, rom: Path, waits: Waits, press: Callable[[], float]) -> None:
        """`press` holds FIRE for `PRESS` emulator frames and returns the reward."""
        self._rom, self._waits, self._press = rom, waits, press
        self._lives = self._watched = 0

    def start(self, console: ale_py.ALEInterface) -> None:
        """After the no-ops of a new game."""
        self._console, self._lives = console, console.lives()
        self._watched = WATCHED if self._waits.at_start else 0
        self._serve()

    def stepped(self, frames: int) -> float:
        """After an action of `frames` emulator frames; the reward of a press, if there was one."""
        lives = self._console.lives()
        self._watched = max(self._watched - frames, 0)
        if lives < self._lives and self._waits.after_life:
            self._watched = WATCHED
        self._lives = lives
        return self._serve()

    def waiting(self) -> bool:
        """Whether the game stands still, and a press of FIRE now would set it going; sooner it
        would be swallowed.
        """
        if self._console.game_over(with_truncation=False):
            return False
        return self._stands_still(0) and not self._stands_still(PRESS)

    def _serve(self) -> float:
        """Press where the game waits; again where a sticky action has swallowed it."""
        reward, pressed = 0.0, False
        while self._watched and self.waiting():
            reward, pressed = reward + self._press(), True
            self._watched = max(self._watched - PRESS, 0)
        if pressed:
            self._watched = 0
        return reward

    def _stands_still(self, press: int) -> bool:
        """Whether the game shows at most `BLINKING` screens in `LOOKED_AHEAD` frames of NOOP, after
        `press` frames of FIRE.
        """
        second = _console.spare(self._rom)
        second.restoreState(self._console.cloneState())
        for _ in range(press):
            second.act(ale_py.Action.FIRE)
        seen: set[int] = set()
        for _ in range(LOOKED_AHEAD):
            second.act(ale_py.Action.NOOP)
            seen.add(zlib.crc32(second.getScreen().data))
            if len(seen) > BLINKING:
                return False
        return True
