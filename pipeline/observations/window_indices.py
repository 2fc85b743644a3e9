"""Which steps form a training window: pure functions from episodes to indices (method §2).

A window is S = memory + context + ahead consecutive steps of one episode, of which a given step is
the context's last. Where the episode has not lasted that long it is padded with -1 on the left, and
where it ends before, on the right.
"""

from collections.abc import Sequence

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
    generator: np.random.Generator, groups: Sequence[NDArray[np.int64]], count: int
) -> NDArray[np.int64]:
    """Draw `count` window ends with replacement, uniformly from the steps of a group.

    Of several groups it is each one's turn, beginning with a drawn one: all are drawn from equally
    often, however many steps they have.
    """
    ends = np.empty(count, np.int64)
    first = int(generator.integers(len(groups))) if len(groups) > 1 else 0
    for number, steps in enumerate(groups):
        turns = ends[(number - first) % len(groups) :: len(groups)]
        turns[:] = steps[generator.integers(len(steps), size=len(turns))]
    return ends


def window_steps(
    ends: NDArray[np.int64],
    first: NDArray[np.int64],
    length: int,
    last: NDArray[np.int64] | None = None,
    ahead: int = 0,
) -> NDArray[np.int64]:
    """Steps (B, length + ahead) of the windows whose first `length` steps end at `ends` (B,).

    PADDING before their episode's `first` step (B,) and after its `last` (B,), which is only needed
    with `ahead`.
    """
    steps = ends[:, None] + np.arange(1 - length, 1 + ahead)  # (B, length + ahead)
    steps = np.where(steps >= first[:, None], steps, PADDING)
    return steps if last is None else np.where(steps <= last[:, None], steps, PADDING)
