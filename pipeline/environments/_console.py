"""Consoles of the Arcade Learning Environment, each with a game in it. To load one takes as long as
some 1,500 frames of play.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import ale_py


def load(rom: Path, sticky_actions: float = 0, seed: int | None = None) -> ale_py.ALEInterface:
    """A console with the game of `rom`, not begun yet; the emulator takes a seed only now."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    console = ale_py.ALEInterface()
    console.setFloat("repeat_action_probability", sticky_actions)
    if seed is not None:
        console.setInt("random_seed", seed)
    console.loadROM(rom)
    return console


@dataclass(frozen=True)
class Game:
    """What is the same in every episode of a game."""

    moves: tuple[ale_py.Action, ...]
    """The minimal set."""
    screen: tuple[int, int]
    """Height and width."""
    first_mode: int
    first_difficulty: int
    rom_md5: str


@functools.cache
def game(rom: Path) -> Game:
    """What a console says of the game of `rom`."""
    console = load(rom)
    return Game(
        moves=tuple(console.getMinimalActionSet()),
        screen=console.getScreenDims(),
        first_mode=next(iter(console.getAvailableModes()), 0),
        first_difficulty=next(iter(console.getAvailableDifficulties()), 0),
        rom_md5=hashlib.md5(rom.read_bytes(), usedforsecurity=False).hexdigest(),
    )


@functools.lru_cache(maxsize=1)
def spare(rom: Path) -> ale_py.ALEInterface:
    """One console to try on what would happen, without sticky actions; restore a state first."""
    return load(rom)
