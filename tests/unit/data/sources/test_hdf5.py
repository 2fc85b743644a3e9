"""Files in D4RL's layout, written as D4RL's own collector and its replay buffers' converter do."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import robots

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import hdf5, recorded_states
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

HOPPER = robots.config()
OBSERVATIONS, ACTIONS, POSITIONS = 11, 3, 6
LENGTHS = [12, 20, 5, 20]
TERMINAL = [True, False, True, False]
"""The others reach the limit of 20 steps."""
REST = 4
"""Steps of an episode that was not finished when the file was full."""
NAME = "hopper_medium-v2.hdf5"


def content() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    steps = sum(LENGTHS) + REST
    ends = np.cumsum(LENGTHS) - 1
    terminals, timeouts = np.zeros(steps, bool), np.zeros(steps, bool)
    terminals[ends[TERMINAL]] = True
    timeouts[ends[np.logical_not(TERMINAL)]] = True
    return {
        "observations": generator.normal(size=(steps, OBSERVATIONS)).astype(np.float32),
        "next_observations": generator.normal(size=(steps, OBSERVATIONS)).astype(np.float32),
        "actions": generator.uniform(-1, 1, (steps, ACTIONS)).astype(np.float32),
        "rewards": generator.normal(size=steps).astype(np.float32),
        "terminals": terminals,
        "timeouts": timeouts,
        "infos/action_log_probs": generator.normal(size=steps).astype(np.float32),
        "infos/qpos": generator.normal(size=(steps, 6)).astype(np.float32),
        "infos/qvel": generator.normal(size=(steps, 6)).astype(np.float32),
    }


def write(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    with h5py.File(folder / NAME, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip")
        file["metadata/algorithm"] = np.bytes_("SAC")
        file["metadata/iteration"] = np.array([200], np.int32)[0]
        file["metadata/policy/fc0/weight"] = np.zeros((256, OBSERVATIONS), np.float32)
    return folder / NAME


def config(**settings: Any) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {"environment": "hopper", "source": "hdf5", "file": NAME, "max_episode_steps": 1000}
        | settings
    )


def collect(folder: Path, environment: EnvironmentConfig, **settings: Any) -> Trajectories:
    return hdf5.collect(config(**settings), environment, folder)


def test_whole_episodes(tmp_path: Path) -> None:
    arrays = content()
    write(tmp_path, arrays)
    data = collect(tmp_path, HOPPER)
    steps = sum(LENGTHS)
    assert data.episode_length.tolist() == LENGTHS
    assert data.terminated.tolist() == TERMINAL
    assert data.observations is not None
    np.testing.assert_array_equal(data.observations, arrays["observations"][:steps])
    np.testing.assert_array_equal(data.actions, arrays["actions"][:steps])
    np.testing.assert_array_equal(data.rewards, arrays["rewards"][:steps])
    assert data.qpos is not None
    np.testing.assert_array_equal(data.qpos, arrays["infos/qpos"][:steps])
    assert data.source == f"{NAME} (D4RL layout)"


def test_recorded_play_in_the_layout(tmp_path: Path) -> None:
    """The same episodes, from the recording and from a file in D4RL's layout."""
    with np.load(robots.RECORDING) as play:
        ends = np.cumsum(play["episode_length"]) - 1
        terminals, timeouts = np.zeros((2, len(play["rewards"])), bool)
        terminals[ends[play["terminated"]]] = True
        timeouts[ends[~play["terminated"]]] = True
        root = play["root_x"].reshape(len(terminals), -1)
        arrays = {name: play[name] for name in ("observations", "actions", "rewards")}
        arrays["infos/qpos"] = np.concatenate([root, play["observations"][:, :5]], axis=1)
    write(tmp_path, {**arrays, "terminals": terminals, "timeouts": timeouts})
    data = collect(tmp_path, HOPPER, max_episodes=2)
    recording = DatasetConfig(
        environment="hopper",
        source="recorded_states",
        file=robots.RECORDING.relative_to(robots.RESOURCES).as_posix(),
        max_episodes=2,
    )
    expected = recorded_states.collect(recording, HOPPER, robots.RESOURCES)
    for name in ("observations", "actions", "rewards", "qpos", "terminated", "episode_length"):
        np.testing.assert_array_equal(getattr(data, name), getattr(expected, name))


def test_converted_replay_buffers(tmp_path: Path) -> None:
    """Rewards (T, 1), double precision, and no positions of the joints."""
    arrays = content()
    write(tmp_path, arrays)
    expected = collect(tmp_path, HOPPER)
    del arrays["infos/qpos"]
    arrays["rewards"] = arrays["rewards"][:, None].astype(np.float64)
    arrays["observations"] = arrays["observations"].astype(np.float64)
    arrays["terminals"] = arrays["terminals"].astype(np.uint8)
    write(tmp_path, arrays)
    data = collect(tmp_path, HOPPER)
    np.testing.assert_array_equal(data.score, expected.score)
    np.testing.assert_array_equal(data.terminated, expected.terminated)
    assert data.qpos is not None
    assert not data.qpos[:, 0].any()  # where the robot stands is not in its state vector
    positions = arrays["observations"][: sum(LENGTHS), : POSITIONS - 1]
    np.testing.assert_array_equal(data.qpos[:, 1:], positions)


def test_without_timeouts_episodes_end_at_the_limit(tmp_path: Path) -> None:
    arrays = content()
    del arrays["timeouts"]
    write(tmp_path, arrays)
    data = collect(tmp_path, HOPPER, max_episode_steps=20)
    assert data.episode_length.tolist() == LENGTHS
    assert data.terminated.tolist() == TERMINAL


def test_selection(tmp_path: Path) -> None:
    write(tmp_path, content())
    data = collect(tmp_path, HOPPER, fraction=0.6, max_episode_steps=15)
    assert data.episode_length.tolist() == [12, 15]
    assert data.terminated.tolist() == [True, False]
    assert data.source == f"{NAME}, first 0.6 (D4RL layout)"
    with pytest.raises(PipelineError, match="has no epsilon"):
        collect(tmp_path, HOPPER, max_epsilon=0.2)


def without(name: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in content().items() if key != name}


def changed(name: str, change: Any) -> dict[str, np.ndarray]:
    arrays = content()
    arrays[name] = change(arrays[name])
    return arrays


def put(row: int, value: float) -> Any:
    def change(array: np.ndarray) -> np.ndarray:
        array[row] = value
        return array

    return change


FAULTS: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "no key": (without("terminals"), "no terminals .*not D4RL's layout"),
    "rows": (changed("actions", lambda array: array[:-1]), "60 actions for 61 observations"),
    "nan reward": (changed("rewards", put(7, np.nan)), "reward nan at step 7"),
    "nan observation": (changed("observations", put(9, np.nan)), "observation nan at step 9"),
    "nan action": (changed("actions", put(3, np.nan)), "action nan of 'thigh' at step 3"),
    "action": (changed("actions", put(3, 1.5)), "action 1.5 of 'thigh' at step 3; allowed: -1"),
    "width": (changed("actions", lambda array: array[:, :2]), "expected vectors of 3"),
    "size": (
        changed("observations", lambda array: array[:, :8]),
        r"observations are \(8,\), those of Hopper are \(11,\)",
    ),
    "positions": (
        changed("infos/qpos", lambda array: array[:, :5]),
        r"positions of joints are \(5,\), Hopper has \(6,\)",
    ),
    "empty": ({name: array[:0] for name, array in content().items()}, "zero episodes"),
    "no end": (
        {**content(), "terminals": np.zeros(61, bool), "timeouts": np.zeros(61, bool)},
        "zero episodes",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(tmp_path: Path, name: str) -> None:
    arrays, cause = FAULTS[name]
    write(tmp_path, arrays)
    with pytest.raises(PipelineError, match=rf"hopper_medium-v2\.hdf5.*{cause}") as caught:
        collect(tmp_path, HOPPER)
    assert "\n" not in str(caught.value)


def ends(lengths: list[int], terminal: list[bool], unmarked: tuple[int, ...] = ()) -> Any:
    """Terminals and timeouts of a file of episodes, some of whose timeouts are not marked."""
    arrays = {
        name: np.resize(array, (sum(lengths), *array.shape[1:]))
        for name, array in content().items()
    }
    arrays["terminals"], arrays["timeouts"] = np.zeros((2, sum(lengths)), bool)
    for i, (last, ended) in enumerate(zip(np.cumsum(lengths) - 1, terminal, strict=True)):
        arrays["terminals" if ended else "timeouts"][last] = i not in unmarked
    return arrays


CAUSES: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "nan ends": (
        changed("terminals", lambda array: np.full(len(array), np.nan)),
        "terminals holds nan, only 0 and 1",
    ),
    "ends of 2": (
        changed("timeouts", lambda array: array * np.uint8(2)),
        "timeouts holds 2, only 0 and 1",
    ),
    "ends in words": (
        changed("terminals", lambda array: array.astype("S5")),
        r"terminals are \|S5, no numbers",
    ),
    "far away": (changed("infos/qpos", put(4, 1e38)), r"qpos 1e\+38 at step 4 cannot be real"),
    "fast": (changed("observations", put(4, -1e30)), r"observation -1e\+30 at step 4 cannot be"),
    "rich": (changed("rewards", put(4, 3e38)), r"reward 3e\+38 at step 4 cannot be real"),
    "richer": (
        changed("rewards", lambda array: put(4, 1e300)(array.astype(np.float64))),
        "reward inf at step 4",
    ),
    "some timeouts": (
        ends([1000, 1000, 300, 1000], [False, False, True, False], unmarked=(0,)),
        "episode 0 has 2000 steps, .* cut after 1000: some ends are not marked; mark them",
    ),
    "the last timeout": (
        ends([1000, 300, 1000, 5], [False, True, False, False], unmarked=(2, 3)),
        "episode 2 has 1005 steps, and episodes are cut after 1000",
    ),
    "a shorter limit": (
        ends([20, 20, 20, 20, 20], [False] * 5, unmarked=(2,)),
        "episode 2 has 40 steps, and episodes are cut after 20",
    ),
    "no timeout": (
        ends([1000, 1000, 300], [False, False, True], unmarked=(0, 1)),
        "all its timeouts are false, so ends are not marked; .*or delete 'timeouts' from the file",
    ),
    "no end": (
        ends([500], [False], unmarked=(0,)),
        "zero episodes: no step is marked .*delete 'timeouts' from the file",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_what_cannot_be_and_what_is_not_marked(tmp_path: Path, name: str) -> None:
    arrays, cause = CAUSES[name]
    write(tmp_path, arrays)
    with pytest.raises(PipelineError, match=rf"hopper_medium-v2\.hdf5.*{cause}") as caught:
        collect(tmp_path, HOPPER)
    assert "\n" not in str(caught.value)


def test_the_advice_on_ends_that_are_not_marked_helps(tmp_path: Path) -> None:
    arrays = ends([1000, 1000, 300], [False, False, True], unmarked=(0, 1))
    del arrays["timeouts"]
    write(tmp_path, arrays)
    assert collect(tmp_path, HOPPER).episode_length.tolist() == [1000, 1000, 300]
    assert collect(tmp_path, HOPPER, max_episode_steps=2000).episode_length[0] == 1000


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, content())
    collect(tmp_path, HOPPER, max_episode_steps=15)
    assert "of 61 steps 14 are left out: 4 after the last end" in capsys.readouterr().out


def test_actions_out_of_bounds_are_clipped_where_that_is_asked(tmp_path: Path) -> None:
    write(tmp_path, changed("actions", put(3, 1.0001)))
    with pytest.raises(PipelineError, match=r"action 1\.0001 of 'thigh'.*clip_actions to true"):
        collect(tmp_path, HOPPER)
    data = collect(tmp_path, HOPPER, clip_actions=True)
    assert data.actions[3].tolist() == [1, 1, 1]
    assert data.source == f"{NAME} (D4RL layout, clipped: 1 of 61 recorded actions)"
    write(tmp_path, changed("actions", put(3, np.nan)))
    with pytest.raises(PipelineError, match="action nan of 'thigh' at step 3") as caught:
        collect(tmp_path, HOPPER, clip_actions=True)
    assert "clip_actions" not in str(caught.value)


def test_another_robot_by_the_name_of_its_file(tmp_path: Path) -> None:
    """HalfCheetah's and Walker2d's arrays have the same sizes."""
    write(tmp_path, content())
    with pytest.raises(PipelineError, match="by its name it was recorded with Hopper, the env"):
        collect(tmp_path, robots.config("walker2d"))


def outside(kind: str, folder: Path, file: Any, array: np.ndarray) -> None:
    """Put `array` outside of `file`, or seemingly so, in one of the ways that HDF5 has."""
    with h5py.File(folder / "other.hdf5", "w") as other:
        other["x"] = array
    (folder / "raw").write_bytes(array.tobytes())
    if kind == "external link":
        file["rewards"] = h5py.ExternalLink("other.hdf5", "/x")
    elif kind == "soft link":
        file["elsewhere"] = h5py.ExternalLink("other.hdf5", "/")
        file["rewards"] = h5py.SoftLink("/elsewhere/x")
    elif kind == "dangling link":
        file["rewards"] = h5py.SoftLink("/nothing")
    elif kind == "external storage":
        whole = [(str(folder / "raw"), 0, array.nbytes)]
        file.create_dataset("rewards", array.shape, array.dtype, external=whole)
    elif kind == "virtual":
        layout = h5py.VirtualLayout(array.shape, array.dtype)
        layout[:] = h5py.VirtualSource(str(folder / "other.hdf5"), "x", array.shape)
        file.create_virtual_dataset("rewards", layout)
    elif kind == "group":
        file.create_group("rewards")
    elif kind == "sparse":
        file.create_dataset("rewards", (10**15,), np.float32, chunks=(1000,))


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("external link", "rewards is a link, which is not followed"),
        ("soft link", "rewards is a link, which is not followed"),
        ("dangling link", "rewards is a link, which is not followed"),
        ("external storage", "the numbers of rewards are in other files"),
        ("virtual", "the numbers of rewards are in other files"),
        ("group", "damaged, cut short, or not such"),
        ("sparse", "rewards says that it has 4,000,000,000,000,000 bytes, the file holds 0"),
    ],
)
def test_numbers_that_are_not_in_the_file(tmp_path: Path, kind: str, cause: str) -> None:
    arrays = content()
    path = write(tmp_path, without("rewards"))
    with h5py.File(path, "a") as file:
        outside(kind, tmp_path, file, arrays["rewards"])
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(tmp_path, HOPPER)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_whole(tmp_path: Path) -> None:
    path = write(tmp_path, content())
    whole = path.read_bytes()
    for keep in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(PipelineError, match=r"medium-v2\.hdf5: damaged, cut short") as caught:
            collect(tmp_path, HOPPER)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(PipelineError, match=r"medium-v2\.hdf5: missing"):
        collect(tmp_path, HOPPER)


def test_expectations(tmp_path: Path) -> None:
    path = write(tmp_path, content())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    counts = {"expected_episodes": len(LENGTHS), "expected_steps": sum(LENGTHS)}
    collect(tmp_path, HOPPER, **counts, sha256={NAME: digest}, max_episodes=1)
    with pytest.raises(PipelineError, match=r"57 steps, the dataset expects 56; .*expected_steps"):
        collect(tmp_path, HOPPER, expected_steps=56)
    with pytest.raises(PipelineError, match="4 episodes, the dataset expects 5"):
        collect(tmp_path, HOPPER, expected_episodes=5)
    with pytest.raises(PipelineError, match=f"SHA-256 is {digest}"):
        collect(tmp_path, HOPPER, sha256={NAME: "0" * 64})
