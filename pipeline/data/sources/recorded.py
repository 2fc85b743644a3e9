"""The `recorded` source: episodes of a `.npz` recording in `resources/` (see its README).

An episode is a seed, a number of NOOP frames and its actions: replaying it gives the frames back.
Everything is checked here that needs no emulator; `frames` checks the rest by replaying.
"""

import json
from pathlib import Path

import numpy as np

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import _npz
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

TYPES = {
    "actions": np.int64,
    "rewards": np.float32,
    "episode_length": np.int64,
    "terminated": np.bool_,
    "score": np.float64,
    "seed": np.int64,
    "noops": np.int64,
    "epsilon": np.float64,
}
OTHER_KEYS = ("ram_sha256", "meta")


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read the recordings, cut long episodes, keep those that `config` asks for.

    Raises PipelineError: no or damaged file, missing key, another game or protocol, unknown action,
    and whatever `Trajectories` refuses.
    """

    def read(path: Path, label: str) -> Trajectories:
        return _read(path, label, environment)

    recording, name = _npz.collect(config, resources, read)
    epsilon = f" (epsilon ≤ {config.max_epsilon:g})" if config.max_epsilon < 1 else ""
    return select(recording, config, f"{name}{epsilon}")


def _read(path: Path, label: str, environment: EnvironmentConfig) -> Trajectories:
    content = _npz.read(path, (*TYPES, *OTHER_KEYS))
    _check_protocol(path, content, environment)
    arrays = {name: _npz.typed(path, name, content[name], kind) for name, kind in TYPES.items()}
    if content["ram_sha256"].ndim != 1:
        raise PipelineError(f"{path}: ram_sha256 is not a list; restore the file")
    return Trajectories(
        **arrays,
        state_sha256=tuple(str(digest) for digest in content["ram_sha256"]),
        source=f"recorded {label} ({path})",
    )


def _check_protocol(path: Path, content: _npz.Content, environment: EnvironmentConfig) -> None:
    """The recording must be of this game, played as the environment's configuration says."""
    try:
        meta = json.loads(str(content["meta"]))
        recorded = {
            "game": str(meta["game"]),
            "frame_skip": int(str(meta["frameskip"]).split()[0]),
            "sticky_actions": float(meta["repeat_action_probability"]),
        }
        meanings = list(meta["action_meanings"])
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{path}: unreadable 'meta' ({error!r}); restore the file") from None
    for key, value in recorded.items():
        wanted = getattr(environment, key)
        if value != wanted:
            raise PipelineError(
                f"{path}: recorded with {key} {value}, the environment says {wanted}; "
                "correct the dataset's 'file' or the environment"
            )
    actions = _npz.typed(path, "actions", content["actions"], np.int64)
    if actions.size and actions.max() >= len(meanings):
        step = int(actions.argmax())
        raise PipelineError(
            f"{path}: action {actions[step]} at step {step}; allowed: 0 to {len(meanings) - 1}"
        )
