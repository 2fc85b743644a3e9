"""Environments: one file per family (`atari.py`, `catch.py`), replayed by `frames/` and played by
`evaluation.py`. A family's module may offer `expert_action(environment) -> int`, a scripted agent
for the `played` source, and `identify(config) -> dict[str, str]`, if it can tell more about itself
than `Environment.versions`.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline import plugins
from pipeline.config import EnvironmentConfig

Frame = NDArray[np.uint8]  # (height, width, 3), RGB


class Environment(Protocol):
    """One episode at a time of a game with discrete actions.

    Deterministic given seed, no-ops and actions.
    """

    action_meanings: tuple[str, ...]
    """Upper-case names, e.g. ("NOOP", "FIRE", "RIGHT", "LEFT"); the index is the action."""
    noop: int
    """The action that does nothing; a_{-1} of every episode (decision D1)."""
    versions: dict[str, str]
    """What the outcome depends on, e.g. {"ale-py": "0.12.1", "rom_md5": "…"}."""

    def reset(self, seed: int, noops: int) -> Frame:
        """Start an episode, let `noops` emulator frames of NOOP pass, return the first frame."""
        ...

    def step(self, action: int) -> tuple[Frame, float, bool]:
        """Take one action (with frame skip): next frame, reward (raw), terminated."""
        ...

    def state(self) -> NDArray[np.uint8]:
        """The machine's memory, (bytes,) uint8: checks a replay and feeds the probe."""
        ...


def make(config: EnvironmentConfig) -> Environment:
    """Build the environment that `config.family` names.

    Raises PipelineError for an unknown family or game.
    """
    environment: Environment = plugins.load("environments", config.family).build(config)
    return environment


def identify(config: EnvironmentConfig) -> dict[str, str]:
    """What the environment is, for the record: the emulator's version, the ROM's SHA-256.

    Raises PipelineError for an unknown family or game.
    """
    family = plugins.load("environments", config.family)
    told = getattr(family, "identify", None)
    identity: dict[str, str] = told(config) if told else make(config).versions
    return identity
