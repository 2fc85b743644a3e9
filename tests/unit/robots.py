"""A robot, and a little of its recorded play, for the tests of everything that is continuous."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.environments import _mujoco_library
from pipeline.environments.mujoco import MujocoEnvironment

ROOT = Path(__file__).parents[2]
RESOURCES = ROOT / "resources"
RECORDING = RESOURCES / "demonstrations/mujoco/hopper_medium.npz"
PER_STEP = ("observations", "actions", "rewards", "root_x")

needs_opengl = pytest.mark.skipif(
    os.environ["MUJOCO_GL"] == _mujoco_library.NONE, reason="no OpenGL on this machine"
)


def config(name: str = "hopper", **changes: Any) -> EnvironmentConfig:
    settings = yaml.safe_load((ROOT / f"config/environments/{name}.yaml").read_text())
    return EnvironmentConfig.model_validate({**settings, **changes})


def small(**changes: Any) -> EnvironmentConfig:
    """Hopper with small frames."""
    return config(**{"rendering": {"size": 64}, **changes})


def robot(environment: EnvironmentConfig) -> MujocoEnvironment:
    made = environments.make(environment)
    assert isinstance(made, MujocoEnvironment)
    return made


def recording(episodes: int = 2, steps: int = 30) -> dict[str, Any]:
    """The first steps of the first recorded episodes, as a recording of its own."""
    with np.load(RECORDING, allow_pickle=False) as archive:
        whole = {name: archive[name] for name in archive.files}
    starts = (np.cumsum(whole["episode_length"]) - whole["episode_length"])[:episodes]
    rows = (starts[:, None] + np.arange(steps)).ravel()
    part = {
        name: array if array.ndim == 0 else array[rows] if name in PER_STEP else array[:episodes]
        for name, array in whole.items()
    }
    part["episode_length"] = np.full(episodes, steps)
    part["terminated"] = np.zeros(episodes, np.bool_)
    part["score"] = part["rewards"].reshape(episodes, steps).sum(1)
    return part


def dataset(file: str | list[str] = "hopper.npz", **settings: Any) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {"environment": "hopper", "source": "recorded_states", "file": file, **settings}
    )
