"""Closed-loop play: E episodes in lock-step, one observation and one policy call per step (method
§3, decision D4).

An environment and a player enter, the episodes' scores leave. Every episode has a generator of its
own for its no-op start and its actions, so its course does not depend on which other episodes are
played beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.actions import Action, Actions
from pipeline.environments import Environment
from pipeline.episodes import Episode
from pipeline.models import SequencePolicy
from pipeline.observations import Observer


@dataclass(frozen=True)
class Situation:
    """What a player decides on: the live episodes at the same timestep, until they are stepped."""

    games: Sequence[Environment]
    """(B,)"""
    previous_actions: Actions
    """(B, …) a_{t-1}."""
    returns: NDArray[np.float64]
    """(B,) raw reward collected so far."""
    episodes: NDArray[np.int64]
    """(B,) index of each row's episode."""
    timestep: int

    @cached_property
    def frames(self) -> NDArray[np.uint8]:
        """(B, H, W, 3), drawn when they are first asked for."""
        return np.stack([game.frame() for game in self.games])

    @cached_property
    def observations(self) -> NDArray[np.float32] | None:
        """(B, D) state vectors, of environments that have them."""
        vectors = [game.observation() for game in self.games]
        known = [vector for vector in vectors if vector is not None]
        return np.stack(known) if known else None


class Player(Protocol):
    """Gives action logits, or continuous actions; may carry a state from step to step."""

    def logits(self, situation: Situation) -> NDArray[np.float64]:
        """(B, actions) logits, or (B, components) the actions themselves, within bounds."""
        ...

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows only; the other episodes have ended."""
        ...


class Recorder(Protocol):
    """Sees every step of episode 0 as it is played."""

    def record(self, game: Environment, row: int, action: Action) -> None:
        """`game` was row `row` of the situation in which `action` was chosen."""
        ...


class RandomPlayer:
    """Takes every action with the same probability."""

    def __init__(self, actions: int) -> None:
        self._actions = actions

    def logits(self, situation: Situation) -> NDArray[np.float64]:
        """Zeros (B, actions)."""
        return np.zeros((len(situation.episodes), self._actions))

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Nothing is carried."""


class PolicyPlayer:
    """A trained policy behind an observer; starts at the target return and subtracts each reward
    (D4).
    """

    def __init__(
        self,
        policy: SequencePolicy,
        observer: Observer,
        episodes: int,
        target_return: float | NDArray[np.float64],
        return_scale: float,
    ) -> None:
        """`target_return` is one for all, or (episodes,)."""
        self._policy, self._observer = policy, observer
        self._state = policy.start(episodes)
        self._targets, self._scale = np.broadcast_to(target_return, episodes), return_scale

    def logits(self, situation: Situation) -> NDArray[np.float64]:
        """Observe, and ask the policy."""
        observation = self._observer.observe(
            situation.frames, situation.previous_actions, situation.episodes
        )
        to_go = (self._targets[situation.episodes] - situation.returns) / self._scale
        logits, self._state = self._policy.act(
            observation,
            torch.from_numpy(situation.previous_actions)[:, None],  # (B, 1, …)
            torch.from_numpy(to_go.astype(np.float32))[:, None],
            torch.full((len(situation.episodes), 1), situation.timestep),
            self._state,
        )
        return logits.double().numpy()

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Drop the ended episodes from the policy's state."""
        self._state = self._state.select(torch.from_numpy(rows))


def play(
    player: Player,
    games: Sequence[Environment],
    reset_seeds: Sequence[int],
    max_noops: int,
    max_steps: int,
    temperature: float,
    recorder: Recorder | None = None,
) -> list[Episode]:
    """Play one episode in each of `games`, all in lock-step; ended episodes leave the batch.

    Episode i is reset with `reset_seeds[i]`, whose generator draws its no-ops (0 … max_noops) and
    its actions, from the softmax of logits / temperature (0: arg-max); continuous
    actions are taken as they are. An episode is cut after `max_steps`.
    """
    count = len(games)
    generators = [np.random.default_rng(seed) for seed in reset_seeds]
    noops = [int(generator.integers(0, max_noops + 1)) for generator in generators]
    for game, seed, n in zip(games, reset_seeds, noops, strict=True):
        game.reset(seed, n)
    actions = np.stack([game.actions.start() for game in games])  # (E, …)
    returns, length, terminated = (
        np.zeros(count),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
    )
    live = np.arange(count, dtype=np.int64)
    for timestep in tqdm(range(max_steps), desc="play", unit="step", mininterval=1):
        situation = Situation(
            [games[i] for i in live.tolist()], actions[live], returns[live], live, timestep
        )
        logits = player.logits(situation)
        for row, i in enumerate(live.tolist()):
            continuous = games[i].actions.continuous
            chosen = logits[row] if continuous else choose(logits[row], temperature, generators[i])
            actions[i] = chosen
            if recorder is not None and i == 0:
                recorder.record(games[i], row, actions[i])
            reward, terminated[i] = games[i].step(actions[i])
            returns[i] += reward
            length[i] += 1
        rows = np.flatnonzero(~terminated[live])
        if len(rows) == 0:
            break
        if len(rows) < len(live):
            player.keep(rows)
            live = live[rows]
    return [
        Episode(seed, n, float(score), int(steps), bool(ended))
        for seed, n, score, steps, ended in zip(
            reset_seeds, noops, returns, length, terminated, strict=True
        )
    ]


def choose(logits: NDArray[np.float64], temperature: float, generator: np.random.Generator) -> int:
    """Sample an action from the softmax of `logits` (actions,) / temperature; 0 is arg-max."""
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / temperature)
    bounds = np.cumsum(weights)
    return int(np.searchsorted(bounds, generator.random() * bounds[-1], side="right"))
