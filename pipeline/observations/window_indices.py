"""Which steps form a training window: pure functions from episodes to indices (method §2).

A window is S = memory + context consecutive steps of one episode that end at a given step; where
the episode has not lasted that long it is padded on the left with -1.
"""

import numpy as np
from numpy.typing import NDArray

PADDING = -1


def split_episodes(episodes: int, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which of `episodes` are held out: a seeded share of whole episodes, (episodes,) bool.

    At least one is held out where `fraction` is positive and there are two or more; at least one
    never is.
    """
    held_out = np.zeros(episodes, np.bool_)
    if fraction > 0 and episodes >= 2:
        count = min(max(1, round(fraction * episodes)), episodes - 1)
        held_out[np.random.default_rng(seed).permutation(episodes)[:count]] = True
    return held_out


def repeat_starts(
    steps: NDArray[np.int64], timesteps: NDArray[np.int64], start_steps: int, weight: int
) -> NDArray[np.int64]:
    """`steps` (N,), and those of them `weight` times that lie in the first `start_steps` of their
    episode; `timesteps` (N,) counts from an episode's beginning.
    """
    starts = steps[timesteps < start_steps]
    return np.concatenate([steps, np.repeat(starts, weight - 1)])


def sample_ends(
    generator: np.random.Generator, steps: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Draw `count` window ends uniformly, with replacement, from `steps`."""
    return steps[generator.integers(len(steps), size=count)]


def window_steps(
    ends: NDArray[np.int64], first: NDArray[np.int64], length: int
) -> NDArray[np.int64]:
    """Steps (B, length) of the windows that end at `ends` (B,); PADDING before their episode's
    `first` step (B,).
    """
    steps = ends[:, None] + np.arange(1 - length, 1)  # (B, length)
    return np.where(steps >= first[:, None], steps, PADDING)
