"""Data sets that are exported for Minari, read by d3rlpy's own loader.

d3rlpy pins other versions than this project, so it lives in an environment of its own, whose
interpreter is named by D3RLPY_PYTHON. Tried with d3rlpy 2.8.1, which needs beside it there:
`pip install "minari[hdf5]" ale-py pillow imageio "mujoco<3.3"`.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.data import export_minari, frames
from pipeline.data.trajectories import Trajectories
from pipeline.io.artefact import Artefact

PYTHON = os.environ.get("D3RLPY_PYTHON", "")
READ = """
import json, sys
from d3rlpy.datasets import get_minari
data, environment = get_minari(sys.argv[1])
found = {
    "id": environment.unwrapped.spec.id,
    "actions": environment.action_space.shape or int(environment.action_space.n),
    "episodes": [
        {
            "observations": [len(one.observations), float(one.observations.astype(float).sum())],
            "actions": one.actions.astype(float).ravel().tolist(),
            "rewards": one.rewards.astype(float).ravel().tolist(),
            "terminated": bool(one.terminated),
        }
        for one in data.episodes
    ],
}
print("found " + json.dumps(found))
"""
pytestmark = pytest.mark.skipif(not PYTHON, reason="D3RLPY_PYTHON names no interpreter")


def read(folder: Path, name: str) -> dict[str, Any]:
    """What d3rlpy finds in the data set `name`."""
    given = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    given["MINARI_DATASETS_PATH"] = str(folder)
    done = subprocess.run(
        [PYTHON, "-c", READ, name], env=given, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("found "))
    found: dict[str, Any] = json.loads(line.removeprefix("found "))
    return found


def compare(found: dict[str, Any], data: Trajectories, observations: np.ndarray) -> None:
    """Every episode's actions, rewards, end and sum of observations (T, …).

    d3rlpy 2.8.1 puts the T + 1 observations of all episodes in a row and cuts them where the T
    actions end, so that from the second episode on they are late, whatever the data set.
    """
    parts = np.split(observations, data.starts[1:])
    row = np.concatenate([rows for part in parts for rows in (part, part[-1:])])
    assert len(found["episodes"]) == len(data.episode_length)
    for i, episode in enumerate(found["episodes"]):
        steps = slice(data.starts[i], data.starts[i] + data.episode_length[i])
        np.testing.assert_allclose(episode["actions"], data.actions[steps].ravel(), rtol=1e-6)
        np.testing.assert_allclose(episode["rewards"], data.rewards[steps], rtol=1e-6)
        count, total = episode["observations"]
        assert count == data.episode_length[i]
        np.testing.assert_allclose(total, row[steps].astype(float).sum(), rtol=1e-6)
        assert episode["terminated"] == data.terminated[i]


def episodes(**arrays: Any) -> Trajectories:
    """Two episodes of 4 and 5 steps; the first ends, the second is cut."""
    return Trajectories(
        rewards=np.ones(9, np.float32),
        episode_length=np.array([4, 5]),
        terminated=np.array([True, False]),
        score=np.array([4.0, 5.0]),
        source="test",
        **arrays,
    )


def test_robots(tmp_path: Path) -> None:
    environment = EnvironmentConfig(
        family="mujoco", game="Hopper", max_noops=0, random_score=0, reference_score=1
    )
    generator = np.random.default_rng(0)
    data = episodes(
        actions=generator.uniform(-1, 1, (9, 3)).astype(np.float32),
        observations=generator.normal(size=(9, 11)).astype(np.float32),
    )
    export_minari.export(data, environment, None, "hopper-v0", tmp_path / "hopper-v0")
    found = read(tmp_path, "hopper-v0")
    assert (found["id"], found["actions"]) == ("Hopper-v5", [3])
    assert data.observations is not None
    compare(found, data, data.observations)


def test_games(tmp_path: Path) -> None:
    environment = EnvironmentConfig(
        family="atari", game="Breakout", max_noops=0, serve=False, random_score=0, reference_score=1
    )
    data = episodes(actions=np.arange(9) % 4)
    shown = environments.make(environment)
    shown.reset(0, 0)
    pictures = []
    for action in data.actions:
        pictures.append(shown.frame())
        shown.step(int(action))
    frames.render(data, environment, tmp_path / "frames.h5", iter(pictures))
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    export_minari.export(data, environment, artefact, "breakout-v0", tmp_path / "breakout-v0")
    found = read(tmp_path, "breakout-v0")
    assert (found["id"], found["actions"]) == ("ALE/Breakout-v5", 4)
    compare(found, data, np.stack(pictures))
