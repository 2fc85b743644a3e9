"""What a decision costs: CPU time, forward passes and parameters, of a trained policy and of the
same planner with other horizons.

Times are of the machine that they were measured on. Everything that a decision needs counts, from
the game to the action: what the observer encodes too.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.config.schema import MethodConfig, TimingConfig
from pipeline.evaluation.decision_columns import COLUMNS
from pipeline.evaluation.rollout import Decision, Player, play
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy, target_return
from pipeline.methods import Learner, make
from pipeline.observations import LiveStep

BEFORE = 3
"""Decisions of an episode that are not measured: caches fill, and there is no last plan yet."""
STEPS = 20
"""Steps of an episode; most robots fall later, and as one does, the rest is not measured."""


class Metered:
    """A player of whose decisions something is read before and after."""

    def __init__(self, player: Player, episodes: int, meter: Callable[[], float]) -> None:
        self._player, self._episodes, self._meter = player, episodes, meter
        self.readings: list[float] = []
        """Of each decision for all episodes, after the first ones."""

    def decide(self, live: LiveStep) -> Decision:
        """Decide, and note by how much the meter has risen."""
        before = self._meter()
        decision = self._player.decide(live)
        risen = self._meter() - before
        if live.timestep >= BEFORE and len(live.episodes) == self._episodes:
            self.readings.append(risen)
        return decision

    def keep(self, rows: NDArray[np.int64]) -> None:
        """As the player does."""
        self._player.keep(rows)


@contextmanager
def passes(learner: Learner) -> Iterator[Callable[[], float]]:
    """Inside the block the function that it gives counts forward passes: of each network that has
    an optimiser the calls of its part that is called most, however many rows a call has.
    """
    calls: dict[str, dict[nn.Module, int]] = {}
    hooks = []
    for name, network in learner.optimised().items():
        own = calls.setdefault(name, {})
        for layer in network.modules():
            if next(layer.parameters(), None) is not None:  # activations are shared
                own[layer] = 0
                hooks.append(layer.register_forward_hook(_counting(own)))
    try:
        yield lambda: float(sum(max(own.values(), default=0) for own in calls.values()))
    finally:
        for hook in hooks:
            hook.remove()


def _counting(calls: dict[nn.Module, int]) -> Callable[..., None]:
    def count(layer: nn.Module, given: object, made: object) -> None:
        calls[layer] += 1

    return count


def parameters(learner: Learner) -> int:
    """Learned numbers of what acts."""
    acting = learner.get_submodule(learner.played)
    return sum(each.numel() for each in acting.parameters())


@dataclass(frozen=True)
class Stopwatch:
    """Measures policies in play from the first starts of a protocol."""

    protocol: EvaluationProtocol
    config: TimingConfig

    def measure(self, loaded: LoadedPolicy, method: MethodConfig) -> pd.DataFrame:
        """Columns COLUMNS: rows of the policy alone and of several episodes in lock-step, then the
        same of its planner with each of the configured horizons.
        """
        rows = self._rows(loaded, played=True, trained=True)
        for steps in self.config.horizons:
            other = _planning(loaded, method, steps)
            if other and other[0].policy.settings.planned_steps != method.policy.planned_steps:
                rows += self._rows(other[0], played=False, trained=other[1])
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _rows(self, loaded: LoadedPolicy, *, played: bool, trained: bool) -> list[tuple[Any, ...]]:
        steps, count = loaded.policy.settings.planned_steps, parameters(loaded.policy)
        rows = list[tuple[Any, ...]]()
        for episodes in dict.fromkeys((1, self.config.episodes)):
            with passes(loaded.policy) as counter:
                counted = self._read(loaded, episodes, counter, least=1)
            seconds = self._read(loaded, episodes, time.process_time, self.config.decisions)
            cost = 1000 * median(seconds) / episodes if seconds else float("nan")
            called = median(counted) if counted else float("nan")
            row = (played, steps, trained, episodes, len(seconds), cost, called, count)
            rows.append(row)
        return rows

    def _read(
        self, loaded: LoadedPolicy, episodes: int, meter: Callable[[], float], least: int
    ) -> list[float]:
        """Readings of at least so many decisions, fewer only if episodes end at once."""
        protocol = self.protocol
        evaluation = protocol.evaluation.model_copy(update={"episodes": episodes})
        seeds = evaluation.reset_seeds(protocol.seed)
        target = target_return(evaluation, protocol.data)
        games, readings = replace(protocol, evaluation=evaluation).games(), list[float]()
        steps = min(STEPS, BEFORE + least, protocol.max_steps)
        longest = protocol.environment.max_noops, steps
        for _ in range(least):
            player = Metered(loaded.player(episodes, target), episodes, meter)
            rule = evaluation.temperature, None
            play(player, games, seeds, *longest, *rule, evaluation.epsilon)
            readings += player.readings
            if len(readings) >= least:
                break
        return readings[:least]


def _planning(
    loaded: LoadedPolicy, method: MethodConfig, steps: int
) -> tuple[LoadedPolicy, bool] | None:
    """The same planner with plans of `steps` steps, and whether it has the policy's weights; None
    for a method without plans. Weights that another horizon would have to be trained for are as
    they begin, since time does not depend on them.
    """
    settings = method.policy.planning(steps)
    if settings is None:
        return None
    other = method.model_copy(update={"policy": settings})
    same = other.trained() == method.trained()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner = make(other, loaded.policy.spec).to(loaded.device).eval()
    if same:
        learner.load_state_dict(loaded.policy.state_dict(), strict=False)
    return replace(loaded, policy=learner), same
