"""Two made-up games with other actions, for the tests of policies of several games."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from policies import method_config, trajectories_of

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.observations import Observation
from pipeline.training import preparation
from pipeline.training.preparation import Recording

TASKS = ("left", "right")
SPACES = (ActionSpace(("NOOP", "FIRE", "LEFT")), ActionSpace(("RIGHT", "NOOP", "FIRE"), noop=1))
JOINT = ActionSpace(("NOOP", "FIRE", "LEFT", "RIGHT"))
LENGTHS = ([20, 30, 10, 12], [5, 9, 7])
SIZE = 84


class Frames:
    """Every step's frames tell the step and the game."""

    def __init__(self, steps: int, game: int) -> None:
        self.steps, self.game = steps, game
        self.shape = {"frames": (4, SIZE, SIZE)}
        mean = np.full((SIZE, SIZE), 10.0 * game, np.float32)
        self.attributes = {"pixel_mean": mean, "pixel_std": 2.0 + game, "weights": "none"}

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        told = torch.from_numpy(np.where(steps < 0, 0, 1 + steps % 100 + 100 * self.game))
        frames = told.to(torch.uint8)[..., None, None, None]
        return {"frames": frames.expand(*steps.shape, 4, SIZE, SIZE)}


def data_of(game: int) -> Trajectories:
    data = trajectories_of(LENGTHS[game], seed=game)
    scaled = {"rewards": data.rewards * (1 + game), "score": data.score * (1 + game)}
    return replace(data, **scaled, source=f"game {game}")


def stores() -> list[Frames]:
    return [Frames(sum(lengths), game) for game, lengths in enumerate(LENGTHS)]


def recorded(monkeypatch: pytest.MonkeyPatch, games: Sequence[int] = (0, 1)) -> list[Recording]:
    """The games' recordings, whose environments and stores are those of this file."""
    known = {f"Game{game}": SimpleNamespace(actions=SPACES[game]) for game in (0, 1)}

    def made(config: EnvironmentConfig) -> Any:
        return known[config.game]

    monkeypatch.setattr(preparation.environments, "make", made)
    monkeypatch.setattr(
        preparation.environments, "action_space", lambda config: made(config).actions
    )
    monkeypatch.setattr(preparation, "open_observations", lambda *told: stores()[int(told[3].name)])
    scores = {"random_score": 0, "reference_score": 1}
    return [
        Recording(
            EnvironmentConfig(family="catch", game=f"Game{game}", **scores),
            data_of(game),
            Path(str(game)),
        )
        for game in games
    ]


def config_of(
    method: str = "multi_task_bc", initial_weights: str = "random", **training: Any
) -> MethodConfig:
    settings = {"steps": 4, "batch_size": 6, "warmup_steps": 1, "evaluate_every": 2} | training
    return method_config(method, settings, width=16, layers=1, initial_weights=initial_weights)
