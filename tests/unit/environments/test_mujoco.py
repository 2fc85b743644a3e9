"""Robots: recorded play goes the same way again, a frame depends on the positions alone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robots import RECORDING, ROOT, config, needs_opengl, robot, small

from pipeline.environments import _mujoco_library
from pipeline.errors import PipelineError
from pipeline.vision.detectors import _segments

HASHES = """
import hashlib
from pathlib import Path
import numpy as np
from robots import robot, config
game = robot(config("halfcheetah", rendering={"size": 64}))
digest = hashlib.sha256()
game.reset(3, 0)
for t in range(6):
    digest.update(game.frame().tobytes())
    game.step(np.full(6, (-1) ** t, np.float32))
print(digest.hexdigest(), [path.name for path in Path().iterdir()])
"""


def in_a_process(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests/unit")])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_recorded_episode_goes_the_same_way_again() -> None:
    game = robot(config())
    with np.load(RECORDING, allow_pickle=False) as recorded:
        actions, observations = recorded["actions"][:351], recorded["observations"][:351]
        rewards, score = recorded["rewards"][:351], float(recorded["score"][0])
        game.reset(int(recorded["seed"][0]), 0)
    total, fallen = 0.0, False
    for action, observation, expected in zip(actions, observations, rewards, strict=True):
        np.testing.assert_array_equal(game.observation(), observation)
        assert not fallen
        reward, fallen = game.step(action)
        assert np.float32(reward) == expected
        total += reward
    assert fallen
    assert total == pytest.approx(score, rel=1e-5)


@needs_opengl
def test_the_frame_of_a_recorded_state_is_the_live_one() -> None:
    game, other = robot(small()), robot(small())
    with np.load(RECORDING, allow_pickle=False) as recorded:
        seen, hidden = recorded["observations"][:40], recorded["root_x"][:40, None]
        actions, seed = recorded["actions"][:40], int(recorded["seed"][0])
    game.reset(seed, 0)
    for qpos, action in zip(game.positions(seen, hidden), actions, strict=True):
        np.testing.assert_array_equal(game.frame(), other.show(qpos))
        game.step(action)


@needs_opengl
def test_robots_in_lock_step_share_a_renderer_and_nothing_else() -> None:
    games = [robot(small()) for _ in range(3)]
    for seed, game in enumerate(games):
        game.reset(seed, 0)
    together = []
    for _ in range(5):
        for game in games:
            game.step(np.ones(3, np.float32))
        together.append([game.frame() for game in games])
    for seed, game in enumerate(games):
        game.reset(seed, 0)
        for t in range(5):
            game.step(np.ones(3, np.float32))
            np.testing.assert_array_equal(game.frame(), together[t][seed])


@needs_opengl
def test_another_size_is_drawn_by_another_renderer() -> None:
    one, other = robot(small()), robot(small(rendering={"size": 40}))
    one.reset(0, 0)
    other.reset(0, 0)
    before = one.frame()
    assert (before.shape, other.frame().shape) == ((64, 64, 3), (40, 40, 3))
    np.testing.assert_array_equal(one.show(one.state()), before)


@needs_opengl
def test_each_part_of_a_flat_robot_is_a_segment() -> None:
    game = robot(config("halfcheetah"))
    game.reset(0, 0)
    frame = game.frame()
    colours = np.unique(frame.reshape(-1, 3), axis=0)
    assert len(colours) == 8 + 2 + 1  # parts of the body, tiles of the ground, nothing
    _, mask = _segments.propose(frame[None], 36)
    assert 8 + 2 <= mask.sum() <= 8 + 6
    original = robot(config("halfcheetah", rendering={"scenery": "original"}))
    original.reset(0, 0)
    assert len(np.unique(original.frame().reshape(-1, 3), axis=0)) > 100


@needs_opengl
def test_the_ground_passes_below_a_robot_that_moves() -> None:
    game = robot(small())
    game.reset(0, 0)
    here = game.state()
    step, lap = here.copy(), here.copy()
    step[0] += 0.25
    lap[0] += 2
    assert (game.show(step) != game.show(here)).any()
    moved = (game.show(lap) != game.show(here)).any(axis=-1)
    assert moved.mean() < 0.01  # but for rounding


@needs_opengl
@pytest.mark.parametrize(("name", "height"), [("hopper", 1.73), ("halfcheetah", 0.56)])
def test_the_ground_is_seen_in_every_jump(name: str, height: float) -> None:
    game = robot(config(name, rendering={"size": 64}))
    game.reset(0, 0)
    jump = game.state()
    jump[1] = height
    ground = (game.show(jump) == 80).all(axis=-1) | (game.show(jump) == 140).all(axis=-1)
    assert ground.any(axis=0).all()  # in every column
    assert not ground[-1].any()  # its near edge as well


@needs_opengl
def test_frames_are_the_same_in_every_process_and_nothing_is_logged(tmp_path: Path) -> None:
    one, other = (in_a_process(tmp_path, HASHES) for _ in range(2))
    assert one.stdout == other.stdout, one.stderr
    assert one.stdout.endswith("[]\n")
    assert one.stderr == ""


@pytest.mark.parametrize("backend", ["off", "glfw"])
def test_without_opengl_the_packages_are_named(tmp_path: Path, backend: str) -> None:
    done = in_a_process(tmp_path, HASHES, MUJOCO_GL=backend, DISPLAY="")
    assert "PipelineError" in done.stderr
    assert "libegl1, libegl-mesa0 and libgl1-mesa-dri" in done.stderr.splitlines()[-1]


PLAY = """
import sys
import numpy as np
from robots import robot, small
from pipeline.environments import _mujoco_library
from pipeline.errors import PipelineError
game = robot(small())
game.reset(0, 0)
game.step(np.zeros(3, np.float32))
print(game.observation().shape, "OpenGL" in sys.modules)
for attempt in range(2):
    try:
        game.frame()
    except PipelineError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("variables", "cure"),
    [
        *(
            ({"MUJOCO_GL": name}, "MUJOCO_GL=osmesa and install libosmesa6")
            for name in ("foo", "0")
        ),
        ({"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "egl"}, "unset PYOPENGL_PLATFORM"),
    ],
)
def test_opengl_is_touched_only_to_draw(
    tmp_path: Path, variables: dict[str, str], cure: str
) -> None:
    """Whatever the variables say, a robot moves; what is wrong is said where it is to be drawn."""
    done = in_a_process(tmp_path, PLAY, **{"PYOPENGL_PLATFORM": "", **variables})
    played, *said = done.stdout.splitlines()
    assert played == "(11,) False", done.stderr
    assert len(said) == 2
    assert all(f"MUJOCO_GL={variables['MUJOCO_GL']}: OpenGL fails (" in line for line in said)
    assert all(line.endswith(cure) or f"{cure}, which is" in line for line in said)


@pytest.mark.skipif(_mujoco_library.installed("libOSMesa.so.8"), reason="OSMesa is here")
def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    done = in_a_process(tmp_path, PLAY, MUJOCO_GL="osmesa", PYOPENGL_PLATFORM="")
    assert done.returncode == 0, done.stderr
    assert "MUJOCO_GL=osmesa: OpenGL fails (" in done.stdout
    assert "install libosmesa6" in done.stdout


@pytest.mark.parametrize(("name", "joints", "observed"), [("ant", 8, 105), ("walker2d", 6, 17)])
def test_an_environment_is_one_file(name: str, joints: int, observed: int) -> None:
    game = robot(config(name))
    game.reset(0, 0)
    assert (game.actions.size, game.observation().shape) == (joints, (observed,))
    assert game.actions.continuous
    assert set(game.actions.low) == {-1}


def test_names_of_joints_and_versions() -> None:
    game = robot(config())
    assert game.actions.names == ("thigh", "leg", "foot")
    assert game.versions["environment"] == "Hopper-v5"
    assert {"gymnasium", "mujoco"} <= set(game.versions)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"game": "Hoper"}, "unknown robot 'Hoper'; did you mean: Hopper"),
        ({"game": "Zzz"}, "gymnasium has: Ant, "),
        ({"frame_skip": 5}, "frame_skip: 5; set it to 4"),
        ({"max_noops": 30}, "max_noops: 30; set it to 0"),
        ({"sticky_actions": 0.25}, "sticky_actions"),
        ({"options": {"gravity": 3}}, "options: .*gravity"),
        ({"options": {"healthy_reward": "x"}}, "healthy_reward: 'x' is of another kind than .*1.0"),
        ({"options": {"terminate_when_unhealthy": 1}}, "terminate_when_unhealthy: 1 is of another"),
        ({"options": {"healthy_z_range": [1.0]}}, "healthy_z_range: .* is of another kind"),
        ({"options": {"reset_noise_scale": -1.0}}, "Hopper-v5: options: .*correct the environment"),
        ({"options": {"xml_file": "/etc/passwd"}}, "Hopper-v5: options: .*correct the environment"),
        ({"options": {"render_mode": "human"}}, "options: unknown key 'render_mode'"),
        ({"options": {"max_episode_steps": 5}}, "options: unknown key 'max_episode_steps'"),
        ({"screen": "grey_84"}, "screen: grey_84; set it to maximum"),
    ],
)
def test_settings_that_a_robot_cannot_have(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(PipelineError, match=cause):
        robot(config(**changes))


def test_a_range_is_a_setting() -> None:
    game = robot(config(options={"healthy_z_range": [1.3, 9]}))
    game.reset(0, 0)
    assert game.step(np.zeros(3, np.float32))[1]  # fallen, where one stands at 1.25


@needs_opengl
def test_unknown_cameras_are_refused() -> None:
    game = robot(small(rendering={"camera": "top"}))
    with pytest.raises(PipelineError, match="'top'; this model has track"):
        game.frame()


@pytest.mark.parametrize(
    ("action", "cause"),
    [([0, np.nan, 0], "nan of 'leg'"), ([0, 0, 1.1], "1.1 of 'foot'"), ([0, 0], r"\(2,\)")],
)
def test_actions_that_are_refused(action: list[float], cause: str) -> None:
    game = robot(config())
    game.reset(0, 0)
    with pytest.raises(PipelineError, match=f"Hopper-v5: .*{cause}"):
        game.step(np.array(action, np.float32))


def test_an_unstable_simulation_stops() -> None:
    game = robot(config())
    game.reset(0, 0)
    game._data.qvel[:] = 1e12
    with pytest.raises(PipelineError, match="became unstable"):
        game.step(np.zeros(3, np.float32))


def test_state_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"\(17,\).*Hopper-v5 .*has \(11,\) and \(1,\)"):
        robot(config()).positions(np.zeros((2, 17), np.float32), np.zeros((2, 1), np.float32))


def test_positions_of_another_robot_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"positions \(9,\), but Hopper-v5 has \(6,\)"):
        robot(config()).show(np.zeros(9))


@needs_opengl
def test_a_forked_process_is_refused_rather_than_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    game = robot(small())
    game.reset(0, 0)
    game.frame()
    process = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: process + 1)
    game.reset(1, 0)
    with pytest.raises(RuntimeError, match="forked process; start it by spawn"):
        game.frame()
