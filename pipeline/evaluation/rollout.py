"""Closed-loop play: E episodes in lock-step, one observation and one policy call per step (method
§3, decision D4).

An environment and a player enter, the episodes' scores leave. Every episode has a generator of its
own for its no-op start and its actions, so its course depends on which other episodes are played
beside it by roundings alone: a batch of another size sums in another order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.environments import Environment
from pipeline.environments.action_space import Action, ActionSpace, Numbering
from pipeline.evaluation.draws import Draws, probabilities
from pipeline.evaluation.episodes import Episode
from pipeline.evaluation.stillness import Stillness
from pipeline.methods import Learner, Moment
from pipeline.nn.token_pooling import region_attention
from pipeline.observations import LiveStep, Observation, Observer

Decision = NDArray[np.float64] | NDArray[np.int64]
"""Logits (B, actions) that actions are drawn from, or the actions themselves: int64 (B,), or float
(B, components) within their bounds.
"""


class Player(Protocol):
    """Decides; may carry a state from step to step."""

    def decide(self, live: LiveStep) -> Decision:
        """For every episode that is still played."""
        ...

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows only; the other episodes have ended."""
        ...


@dataclass(frozen=True)
class Choice:
    """What was chosen in a step of an episode, and from what."""

    row: int
    """Of the live step in which it was chosen."""
    action: Action
    score: float
    """The sum of the rewards so far."""
    probabilities: NDArray[np.float64] | None = None
    """(actions,) with which it was drawn; None where the player decided it itself."""
    attention: NDArray[np.float64] | None = None
    """(regions,): how much of what it saw of the frame each was; None where it does not say."""


class Recorder(Protocol):
    """Sees every step of episode 0 as it is played."""

    def record(self, game: Environment, choice: Choice) -> None:
        """`game` shows what `choice` was made for."""
        ...


class RandomPlayer:
    """Takes every action with the same probability, and continuous ones uniformly within their
    bounds.
    """

    def __init__(self, actions: ActionSpace, reset_seeds: Sequence[int]) -> None:
        """Each episode's actions are drawn from a generator of its own, as its no-ops are."""
        self._actions = actions
        # A stream of its own: that of `play` for the same seed draws the no-ops.
        self._generators = [np.random.default_rng((seed, 1)) for seed in reset_seeds]

    def decide(self, live: LiveStep) -> Decision:
        """Zeros (B, actions), or drawn actions (B, components)."""
        if not self._actions.continuous:
            return np.zeros((len(live.episodes), self._actions.size))
        bounds = self._actions.low, self._actions.high
        return np.stack([self._generators[i].uniform(*bounds) for i in live.episodes.tolist()])

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Nothing is carried."""


class PolicyPlayer:
    """A trained policy behind an observer; starts at the target return and subtracts each reward
    (D4).
    """

    def __init__(
        self,
        learner: Learner,
        observer: Observer,
        episodes: int,
        target_return: float | NDArray[np.float64],
        return_scale: float,
        device: str = "cpu",
        task: int = 0,
        numbering: Numbering | None = None,
    ) -> None:
        """`target_return` is one for all, or (episodes,); `device` is where the policy is. One of
        several games is told which `task` this is, and numbers the game's actions its own way.
        """
        self._learner, self._observer = learner, observer
        self._state = learner.start(episodes)
        self._device = device
        self._targets, self._scale = np.broadcast_to(target_return, episodes), return_scale
        self._task, self._numbering = task, numbering
        self._seen: Observation = {}

    def decide(self, live: LiveStep) -> Decision:
        """Observe, and ask the policy."""
        moment = self._moment(live)
        self._seen = moment.observation
        with torch.no_grad():
            decided, self._state = self._learner.act(moment, self._state)
        on_cpu = decided.cpu()
        exact = on_cpu.double() if on_cpu.is_floating_point() else on_cpu
        decision: Decision = exact.numpy()
        return decision if self._numbering is None else self._numbering.decision(decision)

    def _moment(self, live: LiveStep) -> Moment:
        to_go = (self._targets[live.episodes] - live.returns) / self._scale
        device, count, previous = self._device, len(live.episodes), live.previous_actions
        if self._numbering is not None:
            previous = self._numbering.choice(previous)
        return Moment(
            {name: each.to(device) for name, each in self._observer.observe(live).items()},
            torch.from_numpy(previous)[:, None].to(device),  # (B, 1, …)
            torch.from_numpy(live.previous_rewards)[:, None].to(device),
            torch.from_numpy(to_go.astype(np.float32))[:, None].to(device),
            torch.full((count, 1), live.timestep, device=device),
            torch.full((count,), self._task, device=device),
            lambda *shape: torch.from_numpy(live.noise(*shape)).to(device),
        )

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Drop the ended episodes from the policy's state."""
        self._state = self._state.select(torch.from_numpy(rows))

    def attention(self, row: int) -> NDArray[np.float64] | None:
        """How much of the picture each region was in that row of the last decision, (regions,);
        None where the policy does not pool regions by attention.
        """
        with torch.no_grad():
            shares = region_attention(self._learner, self._seen)
        return None if shares is None else np.asarray(shares[row, 0].cpu(), np.float64)


def play(
    player: Player,
    games: Sequence[Environment],
    reset_seeds: Sequence[int],
    max_noops: int,
    max_steps: int,
    temperature: float,
    recorder: Recorder | None = None,
    epsilon: float = 0,
) -> list[Episode]:
    """Play one episode in each of `games`, all in lock-step; ended episodes leave the batch.

    Episode i is reset with `reset_seeds[i]`, whose generator draws its no-ops (0 … max_noops) and
    its actions, from the softmax of logits / temperature (0: arg-max); what a player decides itself
    is taken as it is. With probability `epsilon` an action is uniformly random instead. An episode
    is cut after `max_steps`.
    """
    count = len(games)
    draws = [Draws(seed, max_noops) for seed in reset_seeds]
    noops = [each.noops for each in draws]
    for game, seed, n in zip(games, reset_seeds, noops, strict=True):
        game.reset(seed, n)
    stillness = [Stillness(game) for game in games]
    actions = np.stack([game.actions.start() for game in games])  # (E, …)
    rewards, returns = np.zeros(count, np.float32), np.zeros(count)
    length, terminated = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    playing = np.arange(count, dtype=np.int64)
    for timestep in tqdm(range(max_steps), desc="play", unit="step", mininterval=1):
        live = LiveStep(
            [games[i] for i in playing.tolist()],
            actions[playing],
            rewards[playing],
            returns[playing],
            playing,
            timestep,
            partial(_noise, [draws[i] for i in playing.tolist()]),
        )
        decided = player.decide(live)
        for row, i in enumerate(playing.tolist()):
            actions[i] = draws[i].action(decided[row], games[i].actions, temperature, epsilon)
            if recorder is not None and i == 0:
                known = probabilities(decided[row], games[i].actions, temperature, epsilon)
                told = known, player.attention(row) if isinstance(player, PolicyPlayer) else None
                recorder.record(games[i], Choice(row, actions[i], float(returns[i]), *told))
            rewards[i], terminated[i] = reward, _ = games[i].step(actions[i])
            stillness[i].step()
            returns[i] += reward
            length[i] += 1
        rows = np.flatnonzero(~terminated[playing])
        if len(rows) == 0:
            break
        if len(rows) < len(playing):
            player.keep(rows)
            playing = playing[rows]
    return [
        Episode(seed, n, float(score), int(steps), bool(ended), still.longest, still.share)
        for seed, n, score, steps, ended, still in zip(
            reset_seeds, noops, returns, length, terminated, stillness, strict=True
        )
    ]


def _noise(draws: Sequence[Draws], *shape: int) -> NDArray[np.float32]:
    """A draw from N(0, 1) of each episode, (episodes, *shape)."""
    return np.stack([each.noise(*shape) for each in draws])
