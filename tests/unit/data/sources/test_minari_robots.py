"""Minari data sets of robots that say that they are of something else."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import robots
from minari_sets import (
    LENGTHS,
    box,
    collect,
    wrapper,
    write,
)

from pipeline.errors import PipelineError

HOPPER = robots.config()


def robot(folder: Path, spec: dict[str, Any] | None, low: float = -1, value: float = 0) -> Path:
    """A data set of Hopper."""
    write(
        folder,
        observation_space=box((11,), -np.inf, np.inf, "float64"),
        action_space=box((3,), low, -low, "float32"),
        env_spec=None if spec is None else json.dumps(spec),
    )
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
        for i, length in enumerate(LENGTHS):
            for name in ("observations", "actions"):
                del file[f"episode_{i}/{name}"]
            file[f"episode_{i}/observations"] = np.zeros((length + 1, 11))
            file[f"episode_{i}/actions"] = np.full((length, 3), value, np.float32)
    return folder


def hopper(**changes: Any) -> dict[str, Any]:
    entry = "gymnasium.envs.mujoco.hopper_v5:HopperEnv"
    spec = {"id": "Hopper-v5", "entry_point": entry, "max_episode_steps": 1000, "kwargs": {}}
    return {**spec, "additional_wrappers": [], **changes}


def test_the_right_robot(tmp_path: Path) -> None:
    kwargs = {"render_mode": "rgb_array", "healthy_z_range": [0.7, float("inf")]}
    folder = robot(tmp_path / "set", hopper(kwargs=kwargs))
    assert len(collect(folder, HOPPER, max_episode_steps=1000).actions) == sum(LENGTHS)


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (hopper(id="Walker2d-v5"), "game walker2d, the environment says hopper"),
        (hopper(id="Hopper-v4"), "recorded in Hopper-v4, the environment is Hopper-v5"),
        (hopper(entry_point="os:system"), "made by 'os:system'"),
        (hopper(kwargs={"ctrl_cost_weight": 0.5}), r"ctrl_cost_weight 0\.5, the environment says"),
        (hopper(kwargs={"frame_skip": 8}), "frame_skip 8, the environment says 4"),
        (hopper(kwargs={"xml_file": "/etc/x.xml"}), "xml_file /etc/x.xml"),
        (hopper(kwargs={"wind": 3}), "setting 'wind', which Hopper-v5 does not know"),
        (hopper(max_episode_steps=500), "at most 500 steps an episode"),
        (
            hopper(additional_wrappers=[wrapper("RepeatAction", num_repeats=2)]),
            "every action repeated 2 times",
        ),
        (
            hopper(additional_wrappers=[wrapper("NormalizeObservation", epsilon=1)]),
            "wrapper NormalizeObservation",
        ),
    ],
)
def test_another_robot(tmp_path: Path, spec: dict[str, Any], cause: str) -> None:
    folder = robot(tmp_path / "set", spec)
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(folder, HOPPER, max_episode_steps=1000)
    assert "\n" not in str(caught.value)


def test_options_count_on_both_sides(tmp_path: Path) -> None:
    cheap = robots.config(options={"ctrl_cost_weight": 0.5})
    same = robot(tmp_path / "same", hopper(kwargs={"ctrl_cost_weight": 0.5}))
    assert len(collect(same, cheap, max_episode_steps=1000).actions)
    plain = robot(tmp_path / "plain", hopper())
    with pytest.raises(PipelineError, match=r"ctrl_cost_weight 0\.001, the environment says 0\.5"):
        collect(plain, cheap, max_episode_steps=1000)


def test_bounds_of_actions(tmp_path: Path) -> None:
    folder = robot(tmp_path / "wide", None, low=-2)
    with pytest.raises(PipelineError, match="actions are from -2 to 2, those of Hopper from -1"):
        collect(folder, HOPPER)
    folder = robot(tmp_path / "unbounded", None, low=-np.inf, value=1.0001)
    with pytest.raises(PipelineError, match=r"action 1\.0001 of .*clip_actions to true"):
        collect(folder, HOPPER)
    data = collect(folder, HOPPER, clip_actions=True)
    assert data.actions.max() == 1
    assert data.source.endswith(f", clipped: {sum(LENGTHS)} of {sum(LENGTHS)} recorded actions")
