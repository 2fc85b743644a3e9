"""Small Minari data sets that say of themselves what a test wants."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import minari
import numpy as np
from PIL import Image

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import minari as source
from pipeline.data.trajectories import Trajectories

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


def encoded(size: tuple[int, int], form: str = "JPEG", mode: str = "RGB") -> np.ndarray:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format=form)
    return np.frombuffer(buffer.getvalue(), np.uint8)
