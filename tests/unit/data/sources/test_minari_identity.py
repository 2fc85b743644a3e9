"""Minari data sets that run code, or that say that they are of something else."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import minari
import numpy as np
import pytest
import robots
from PIL import Image

from pipeline.config.data import CLIPPED
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import minari as source
from pipeline.data.trajectories import Trajectories
from pipeline.environments import atari
from pipeline.errors import PipelineError

HOPPER = robots.config()
LENGTHS = (5, 4)
SCREEN = (210, 160, 3)
GYMNASIUM = "gymnasium.wrappers.stateful_observation"


def game(name: str = "Breakout", **changes: Any) -> EnvironmentConfig:
    settings = {"family": "atari", "game": name, "screen": "last", **changes}
    return EnvironmentConfig(random_score=0, reference_score=1, **settings)


def box(shape: tuple[int, ...], low: float, high: float, dtype: str) -> str:
    bounds = {
        name: np.full(shape, value).tolist() for name, value in (("low", low), ("high", high))
    }
    return json.dumps({"type": "Box", "dtype": dtype, "shape": list(shape), **bounds})


def discrete(n: int) -> str:
    return json.dumps({"type": "Discrete", "dtype": "int64", "start": 0, "n": n})


def specification(**changes: Any) -> dict[str, Any]:
    """Of Breakout as Minari's own data were recorded; `kwargs` are added to those there."""
    kwargs = {
        "game": "breakout",
        "repeat_action_probability": 0,
        "full_action_space": False,
        "frameskip": 4,
        "max_num_frames_per_episode": 108_000,
        **changes.pop("kwargs", {}),
    }
    plain = {"id": "ALE/Breakout-v5", "entry_point": "ale_py.env:AtariEnv"}
    return {
        **plain,
        "max_episode_steps": None,
        "additional_wrappers": [],
        "kwargs": kwargs,
        **changes,
    }


def wrapper(name: str, module: str = GYMNASIUM, **kwargs: Any) -> dict[str, Any]:
    return {"name": name, "entry_point": f"{module}:{name}", "kwargs": kwargs}


def preprocessing(**kwargs: Any) -> dict[str, Any]:
    given = {"noop_max": 0, "frame_skip": 4, "screen_size": 84, "terminal_on_life_loss": False}
    given |= {"grayscale_obs": True, "grayscale_newaxis": False, "scale_obs": False}
    return wrapper("AtariPreprocessing", "gymnasium.wrappers.atari_preprocessing", **given | kwargs)


def write(
    folder: Path,
    spec: dict[str, Any] | None = None,
    shape: tuple[int, ...] = SCREEN,
    actions: int = 4,
    played: int | None = None,
    **changes: Any,
) -> Path:
    """A data set of a game; None among `changes` leaves a key out."""
    metadata = {
        "data_format": "hdf5",
        "dataset_id": "test-v0",
        "minari_version": minari.__version__,
        "total_episodes": len(LENGTHS),
        "total_steps": sum(LENGTHS),
        "jpeg_encoding": False,
        "observation_space": box(shape, 0, 255, "uint8"),
        "action_space": discrete(actions),
        "env_spec": None if spec is None else json.dumps(spec),
        **changes,
    }
    (folder / "data").mkdir(parents=True)
    kept = {key: value for key, value in metadata.items() if value is not None}
    (folder / "data/metadata.json").write_text(json.dumps(kept))
    with h5py.File(folder / "data/main_data.hdf5", "w") as file:
        for i, length in enumerate(LENGTHS):
            group = file.create_group(f"episode_{i}")
            group["observations"] = np.zeros((length + 1, *shape), np.uint8)
            group["actions"] = np.arange(length) % 4 if played is None else np.full(length, played)
            group["rewards"] = np.ones(length)
            group["terminations"] = np.zeros(length, bool)
            group["truncations"] = np.arange(length) == length - 1
    return folder


def collect(folder: Path, environment: EnvironmentConfig, **settings: Any) -> Trajectories:
    config = DatasetConfig(environment="any", source="minari", file=str(folder), **settings)
    return source.collect(config, environment, Path())


# --- code ---


def planted(marker: Path) -> dict[str, Any]:
    """Specifications that make a file, if anything makes an environment of them."""
    spec = {"id": "ALE/Breakout-v5", "additional_wrappers": [], "vector_entry_point": None}
    runs = {"entry_point": "os:system", "kwargs": {"command": f"touch {marker}"}}
    inside = specification(additional_wrappers=[{"name": "W", **runs}])
    makes = {"entry_point": "pathlib:Path.touch", "kwargs": {"self": str(marker)}}
    return {
        "text": json.dumps({**spec, **runs}),
        "object": {**spec, **runs},
        "path": json.dumps({**spec, **makes}),
        "wrapper": json.dumps(inside),
        "unknown id": json.dumps({**spec, **runs, "id": "os:system-v0"}),
    }


SHAPES: list[dict[str, Any]] = [
    {"observation_space": None},
    {"action_space": None},
    {"observation_space": None, "action_space": None},
    {},
]


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize("how", planted(Path()))
@pytest.mark.parametrize("key", ["env_spec", "eval_env_spec"])
def test_no_entry_point_is_run(tmp_path: Path, changes: dict[str, Any], how: str, key: str) -> None:
    marker = tmp_path / "marker"
    folder = write(tmp_path / "set", **{key: planted(marker)[how], **changes})
    harmless = key == "eval_env_spec" and not changes  # it is not looked at
    for environment in (game(), HOPPER):
        if harmless and environment is not HOPPER:
            collect(folder, environment)
        else:
            with pytest.raises(PipelineError) as caught:
                collect(folder, environment)
            assert "\n" not in str(caught.value)
        assert not marker.exists()


def test_nor_after_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"

    def client(name: str) -> None:
        spec = planted(marker)["text"]
        write(tmp_path / ".data.partial" / name, env_spec=spec, observation_space=None)

    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # put back after the test
    monkeypatch.setattr(minari, "download_dataset", client)
    monkeypatch.setattr(source, "replacing_folder", Partial)
    config = DatasetConfig(environment="any", source="minari", name="games/x-v0")
    with pytest.raises(PipelineError, match="has no observation_space, and no environment is made"):
        source.download(config, tmp_path / "data")
    assert not marker.exists()


class Partial:
    """The folder that a download is written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.parent / f".{folder.name}.partial"

    def __enter__(self) -> Path:
        return self.folder

    def __exit__(self, *error: object) -> None:
        return None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"observation_space": None}, "metadata.json has no observation_space"),
        ({"action_space": None}, "metadata.json has no action_space"),
        ({"observation_space": "{"}, "not a Minari data set"),
        ({"observation_space": [1]}, "expected a JSON object"),
        ({"observation_space": '{"type": "Dict"}'}, "observations are 'Dict'; only"),
        ({"action_space": '{"type": "MultiDiscrete"}'}, "actions are 'MultiDiscrete'; only"),
        ({"action_space": '{"type": "Discrete", "n": true}'}, "n is True, expected a whole number"),
        ({"action_space": '{"type": "Discrete", "n": 1e400}'}, "n is inf, expected"),
        ({"action_space": '{"type": "Discrete", "n": -3}'}, "n is -3, expected 0 or more"),
        ({"total_steps": "9"}, "total_steps is '9', expected a whole number"),
        ({"dataset_id": 7}, "dataset_id is 7, expected text"),
        ({"observation_space": box((2, 2), 0, 255, "object")}, "dtype 'object'; only"),
        (
            {"observation_space": '{"type": "Box", "shape": [99999, 99999, 3], "dtype": "uint8"}'},
            "allowed: sides of 1 to 4096",
        ),
        (
            {"observation_space": box((2, 2), 0, 255, "uint8").replace("[2, 2]", "[2, 3]")},
            r"low is \(2, 2\), its shape is \(2, 3\)",
        ),
        ({"env_spec": "[]"}, "env_spec is .*expected a JSON object"),
        ({"env_spec": '{"id": 3}'}, "game 3, the environment says breakout"),
        ({"env_spec": '{"id": "a b"}'}, "has the id 'a b'"),
    ],
)
def test_descriptions(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    folder = write(tmp_path / "set", **changes)
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(folder, game())
    assert "\n" not in str(caught.value)


def test_a_description_without_end(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    (folder / "data/metadata.json").write_text("[" * 200_000)
    with pytest.raises(PipelineError, match="not a Minari data set"):
        collect(folder, game())


# --- another environment ---


def test_the_right_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", specification())
    assert collect(folder, game()).episode_length.tolist() == list(LENGTHS)


SKIPS = wrapper("MaxAndSkipObservation", skip=4)
LIVES = wrapper("EpisodicLifeEnv", "stable_baselines3.common.atari_wrappers") | {"kwargs": None}


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (specification(id="ALE/Pong-v5", kwargs={"game": "pong"}), "game pong, the .* breakout"),
        (specification(kwargs={"game": "pong"}), "Breakout by its id and of pong by its settings"),
        (specification(id="Hopper-v5", entry_point=None, kwargs={}), "Hopper by its id"),
        (specification(entry_point="a.b:C"), "made by 'a.b:C', which is none of the family"),
        (specification(kwargs={"frameskip": 2}), "frame_skip 2, .* says 4; set frame_skip to 2"),
        (specification(kwargs={"frameskip": [2, 5]}), r"frameskip \[2, 5\], expected"),
        (
            specification(kwargs={"frameskip": 2}, additional_wrappers=[SKIPS]),
            "frame_skip 8, the environment says 4; set frame_skip to 8",
        ),
        (
            specification(kwargs={"repeat_action_probability": 0.25}),
            r"sticky_actions 0\.25, the environment says 0; set sticky_actions to 0\.25",
        ),
        (specification(kwargs={"mode": 4}), "recorded with mode 4, and play here has 0"),
        (specification(kwargs={"difficulty": 1}), "with difficulty 1, and play here has 0"),
        (specification(kwargs={"obs_type": "grayscale"}), "obs_type grayscale, and play here"),
        (specification(kwargs={"obs_type": "ram"}), "obs_type ram"),
        (specification(kwargs={"continuous": True}), "continuous True"),
        (specification(kwargs={"invert": True}), "setting 'invert', which ale-py does not know"),
        (specification(max_episode_steps=100), "at most 100 steps .* 2000; set it to 100 or"),
        (specification(kwargs={"max_num_frames_per_episode": 400}), "at most 100 steps an episode"),
        (
            specification(additional_wrappers=[wrapper("TimeLimit", max_episode_steps=9)]),
            "at most 9 steps an episode",
        ),
        (specification(additional_wrappers=[LIVES]), "end when a life is lost"),
        (
            specification(
                kwargs={"frameskip": 1},
                additional_wrappers=[preprocessing(terminal_on_life_loss=True)],
            ),
            r"end when a life is lost \(terminal_on_life_loss\), and a whole game",
        ),
        (
            specification(kwargs={"frameskip": 1}, additional_wrappers=[SKIPS]),
            "screen maximum, the environment says last; set the dataset's screen to maximum",
        ),
        (
            specification(kwargs={"frameskip": 1}, additional_wrappers=[preprocessing()]),
            "screen grey_84, the environment says last; set the dataset's screen to grey_84",
        ),
        (
            specification(
                kwargs={"frameskip": 1}, additional_wrappers=[preprocessing(screen_size=96)]
            ),
            "recorded with 96 by 96 pixels in grey of AtariPreprocessing, which no screen here",
        ),
        (
            specification(additional_wrappers=[wrapper("FrameStackObservation", stack_size=4)]),
            "wrapper FrameStackObservation, which shows several frames at once",
        ),
        (
            specification(additional_wrappers=[wrapper("RescaleAction", min_action=-1)]),
            "wrapper RescaleAction, which changes what actions mean",
        ),
        (
            specification(additional_wrappers=[wrapper("ClipReward", min_reward=0, max_reward=5)]),
            r"rewards clipped to \(0, 5\)",
        ),
        (
            specification(additional_wrappers=[wrapper("Mirror", "their.wrappers")]),
            "wrapper 'Mirror', of which it is not known what it changes",
        ),
        (
            specification(additional_wrappers=[wrapper("TimeLimit", "their.wrappers")]),
            "wrapper 'TimeLimit', of which it is not known",
        ),
        (
            specification(additional_wrappers=[{**SKIPS, "kwargs": None}]),
            "its settings are not stored",
        ),
    ],
)  # fmt: skip
def test_another_way_to_play(tmp_path: Path, spec: dict[str, Any], cause: str) -> None:
    folder = write(tmp_path / "set", spec)
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(folder, game())
    assert "\n" not in str(caught.value)


def test_skips_multiply(tmp_path: Path) -> None:
    """A frame skip of 1 with a wrapper that skips 4 is one of 4, whatever the advice once was."""
    spec = specification(kwargs={"frameskip": 1}, additional_wrappers=[SKIPS])
    folder = write(tmp_path / "set", spec)
    assert len(collect(folder, game(screen="maximum")).actions) == sum(LENGTHS)
    old = {**spec, "id": "BreakoutNoFrameskip-v4", "kwargs": {}}
    folder = write(tmp_path / "old", old)
    assert len(collect(folder, game(screen="maximum")).actions) == sum(LENGTHS)


def test_harmless_wrappers(tmp_path: Path) -> None:
    common = "gymnasium.wrappers.common"
    names = ("OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics")
    wrappers = [wrapper(name, common) | {"kwargs": None} for name in names]
    folder = write(tmp_path / "set", specification(additional_wrappers=wrappers))
    assert len(collect(folder, game()).actions) == sum(LENGTHS)


def test_clipped_rewards_are_labelled(tmp_path: Path) -> None:
    clip = wrapper("ClipReward", "gymnasium.wrappers.transform_reward", min_reward=-1, max_reward=1)
    folder = write(tmp_path / "set", specification(additional_wrappers=[clip]))
    assert CLIPPED in collect(folder, game()).source


@pytest.mark.parametrize("said", [True, False])
def test_actions_of_the_full_set_are_read_by_their_meaning(tmp_path: Path, said: bool) -> None:
    """Breakout has NOOP, FIRE, RIGHT and LEFT; in the full set 3 is RIGHT, 4 LEFT and 2 UP."""
    spec = specification(kwargs={"full_action_space": True}) if said else None
    for played, meant in ((0, 0), (1, 1), (3, 2), (4, 3)):
        folder = write(tmp_path / f"{played}", spec, actions=18, played=played)
        assert set(collect(folder, game()).actions.tolist()) == {meant}
    folder = write(tmp_path / "up", spec, actions=18, played=2)
    with pytest.raises(PipelineError, match="action UP at step 0, which the environment does not"):
        collect(folder, game())


def test_number_of_actions(tmp_path: Path) -> None:
    folder = write(tmp_path / "six", actions=6)
    with pytest.raises(PipelineError, match="actions are 6 in number, those of Breakout are 4"):
        collect(folder, game())
    full = specification(kwargs={"full_action_space": True})
    folder = write(tmp_path / "four", full)
    with pytest.raises(PipelineError, match="actions are 4 in number"):
        collect(folder, game())
    assert atari.FULL_ACTION_SET[2:4] == ("UP", "RIGHT")


@pytest.mark.parametrize("shape", [(210, 160), (210, 160, 1)])
def test_grey_recordings_are_not_played_in_colour(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = write(tmp_path / "set", shape=shape)
    with pytest.raises(PipelineError, match=r"frames are grey.* are in colour"):
        collect(folder, game())


def test_the_name_tells_the_game(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", dataset_id="atari/pong/expert-v0")
    with pytest.raises(PipelineError, match="recorded with game pong, the environment says break"):
        collect(folder, game())


# --- robots ---


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
    assert data.source.endswith(f", {sum(LENGTHS)} actions clipped")


# --- images ---


def encoded(size: tuple[int, int], form: str = "JPEG", mode: str = "RGB") -> np.ndarray:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format=form)
    return np.frombuffer(buffer.getvalue(), np.uint8)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 160 210\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    "content",
    [
        np.frombuffer(EPS, np.uint8),
        encoded((160, 210), "PNG"),
        encoded((160, 210), "TIFF"),
        encoded((16_000, 21_000)),
        encoded((160, 210), mode="CMYK"),
        encoded((160, 210), mode="L"),
        encoded((160, 210))[:300],
        np.zeros(10, np.uint8),
    ],
    ids=["eps", "png", "tiff", "large", "cmyk", "grey", "cut", "zeros"],
)
def test_images_are_jpeg_of_the_size_that_was_promised(
    tmp_path: Path, content: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused is refused before it is decoded: by its kind and its header."""
    folder = write(tmp_path / "set", jpeg_encoding=True)
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
        for i, length in enumerate(LENGTHS):
            del file[f"episode_{i}/observations"]
            file[f"episode_{i}/observations"] = np.repeat(content[None], length + 1, axis=0)
    config = DatasetConfig(environment="any", source="minari", file=str(folder))
    environment = game(screen="last_jpeg")
    source.collect(config, environment, Path())
    shown = source.frames(config, environment, Path())
    assert shown is not None
    with pytest.raises(PipelineError, match="an image is no JPEG of RGB") as caught:
        next(shown)
    assert "\n" not in str(caught.value)


def test_screens_and_jpeg(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain", specification())
    with pytest.raises(PipelineError, match=r"screen last, .* last_jpeg; set the dataset's screen"):
        collect(plain, game(screen="last_jpeg"))
    lossy = write(tmp_path / "lossy", specification(), jpeg_encoding=True)
    with h5py.File(lossy / "data/main_data.hdf5", "a") as file:
        for i, length in enumerate(LENGTHS):
            del file[f"episode_{i}/observations"]
            rows = np.repeat(encoded((160, 210))[None], length + 1, axis=0)
            file[f"episode_{i}/observations"] = rows
    assert len(collect(lossy, game(screen="last_jpeg")).actions)
    for screen in ("last", "maximum"):
        with pytest.raises(PipelineError, match="set the dataset's screen to last_jpeg"):
            collect(lossy, game(screen=screen))


# --- files that are more than one ---


@pytest.mark.parametrize("name", ["observations", "rewards", "actions", "terminations"])
def test_numbers_in_other_files(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "set")
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
        del file[f"episode_1/{name}"]
        file[f"episode_1/{name}"] = h5py.ExternalLink("other.hdf5", "/x")
    with pytest.raises(PipelineError, match=f"{name} is a link, which is not followed"):
        collect(folder, game())
