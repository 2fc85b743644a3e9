"""The `recorded` source: episodes of a `.npz` recording in `resources/` (see its README).

An episode is a seed, a number of NOOP frames and its actions: replaying it gives the frames back.
Everything is checked here that needs no emulator; `frames` checks the rest by replaying.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import _npz
from pipeline.data.sources._checks import by_meaning
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.json import parse

READS = ("file", "max_epsilon")
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
SERVED = "served"
"""FIRE was pressed for the player, by episode; a recording without it was not served."""


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read the recordings, cut long episodes, keep those that `config` asks for.

    Actions are read by what they mean. Raises PipelineError: no or damaged file, missing key,
    another game or protocol, unknown action, and whatever `Trajectories` refuses.
    """

    def read(path: Path, label: str) -> Trajectories:
        return _read(path, label, environment)

    recording, name = _npz.collect(config, resources, read)
    epsilon = f" (epsilon ≤ {config.max_epsilon:g})" if config.max_epsilon < 1 else ""
    return select(recording, config, f"{name}{epsilon}")


def _read(path: Path, label: str, environment: EnvironmentConfig) -> Trajectories:
    content = _npz.read(path, (*TYPES, *OTHER_KEYS), [SERVED])
    meanings = _check_protocol(path, content, environment)
    arrays: dict[str, Any] = {
        name: _npz.typed(path, name, content[name], kind) for name, kind in TYPES.items()
    }
    unserved = np.zeros(len(arrays["score"]), np.bool_)
    arrays[SERVED] = _npz.typed(path, SERVED, content.get(SERVED, unserved), np.bool_)
    if content["ram_sha256"].ndim != 1:
        raise PipelineError(f"{path}: ram_sha256 is not a list; restore the file")
    space = environments.action_space(environment)
    arrays["actions"] = by_meaning(path, arrays["actions"], meanings, space)
    return Trajectories(
        **arrays,
        state_sha256=tuple(str(digest) for digest in content["ram_sha256"]),
        source=f"recorded {label} ({path})",
    )


def _check_protocol(path: Path, content: _npz.Content, environment: EnvironmentConfig) -> list[str]:
    """The recording must be of this game, played as the environment's configuration says; what its
    actions mean, in the order of their indices.
    """
    try:
        meta = parse(str(content["meta"]))
        recorded = {
            "game": str(meta["game"]),
            "frame_skip": int(str(meta["frameskip"]).split()[0]),
            "sticky_actions": float(meta["repeat_action_probability"]),
        }
        meanings = [str(meaning) for meaning in meta["action_meanings"]]
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise PipelineError(f"{path}: unreadable 'meta' ({error!r}); restore the file") from None
    for key, value in recorded.items():
        wanted = getattr(environment, key)
        if value != wanted:
            raise PipelineError(
                f"{path}: recorded with {key} {value}, the environment says {wanted}; "
                "correct the dataset's 'file' or the environment"
            )
    return meanings
