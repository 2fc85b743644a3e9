"""The random draws of an episode of play. All of them come from the episode's reset seed, so that
this seed is enough to play the same episode again. No torch.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.environments.action_space import Action, ActionSpace


class Draws:
    """The draws of one episode, in the order in which play makes them."""

    def __init__(self, reset_seed: int, max_noops: int) -> None:
        self._actions = np.random.default_rng(reset_seed)
        # A stream of its own; (seed, 1) is that of uniformly random players.
        self._noise = np.random.default_rng((reset_seed, 2))
        self.noops = int(self._actions.integers(0, max_noops + 1))
        """Emulator frames of NOOP after the reset, 0 … max_noops."""

    def action(
        self,
        decided: NDArray[np.float64] | NDArray[np.int64],
        space: ActionSpace,
        temperature: float,
        epsilon: float,
    ) -> Action:
        """The action, of what a player decided for the episode: logits (actions,), of which one is
        drawn; an int64 index () or a vector (components,), which are taken as they are. With
        probability `epsilon` a uniformly random one instead.
        """
        if explores(epsilon, self._actions):
            return uniform(space, self._actions)
        if space.continuous:
            return decided.astype(space.dtype)
        if decided.dtype == np.int64:
            return int(decided)
        return choose(np.asarray(decided, np.float64), temperature, self._actions)

    def noise(self, *shape: int) -> NDArray[np.float32]:
        """A draw from N(0, 1) of this shape."""
        return self._noise.standard_normal(shape, np.float32)


def probabilities(
    decided: NDArray[np.float64] | NDArray[np.int64],
    space: ActionSpace,
    temperature: float,
    epsilon: float,
) -> NDArray[np.float64] | None:
    """The probability of each action, (actions,), by which `Draws.action` draws one of logits; None
    where what was decided is the action itself.
    """
    if space.continuous or decided.dtype == np.int64:
        return None
    if temperature:
        weights = np.exp((decided - decided.max()) / temperature)
    else:
        weights = np.eye(len(decided))[decided.argmax()]
    mixed: NDArray[np.float64] = (1 - epsilon) * weights / weights.sum() + epsilon / len(weights)
    return mixed


def explores(epsilon: float, generator: np.random.Generator) -> bool:
    """True with probability `epsilon`; nothing is drawn where that is 0."""
    return epsilon > 0 and generator.random() < epsilon


def uniform(actions: ActionSpace, generator: np.random.Generator) -> Action:
    """An action, each with the same probability; a continuous one uniform within its bounds."""
    if actions.continuous:
        return generator.uniform(actions.low, actions.high).astype(actions.dtype)
    return int(generator.integers(actions.size))


def choose(logits: NDArray[np.float64], temperature: float, generator: np.random.Generator) -> int:
    """Sample an action from the softmax of `logits` (actions,) / temperature; 0 is arg-max."""
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / temperature)
    bounds = np.cumsum(weights)
    return int(np.searchsorted(bounds, generator.random() * bounds[-1], side="right"))
