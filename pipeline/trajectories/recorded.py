"""The `recorded` source: episodes of a `.npz` recording in `resources/` (see its README).

An episode is a seed, a number of NOOP frames and its actions: replaying it gives the frames back.
Everything is checked here that needs no emulator; `frames` checks the rest by replaying.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import DatasetConfig, EnvironmentConfig
from pipeline.errors import PipelineError
from pipeline.trajectories import Trajectories

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
    """Read the recording, cut long episodes, keep those that `config` asks for.

    Raises PipelineError: no or damaged file, missing key, another game or protocol, unknown action,
    and whatever `Trajectories` refuses.
    """
    if config.file is None:
        raise PipelineError("dataset: source 'recorded' needs the key 'file'")
    path = resources / config.file
    content = _read(path)
    _check_protocol(path, content, environment)
    arrays = {name: _typed(path, name, content[name], kind) for name, kind in TYPES.items()}
    label = Path(config.file).with_suffix("").as_posix().removeprefix("demonstrations/")
    recording = Trajectories(
        **arrays,
        state_sha256=tuple(str(digest) for digest in content["ram_sha256"]),
        source=f"recorded {label} ({path})",
    )
    epsilon = f" (epsilon ≤ {config.max_epsilon:g})" if config.max_epsilon < 1 else ""
    return _select(recording, config, f"recorded {label}{epsilon}")


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise PipelineError(f"{path}: no such recording; correct the dataset's 'file'")
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PipelineError(f"{path}: damaged recording ({error}); restore the file") from None
    missing = [name for name in (*TYPES, *OTHER_KEYS) if name not in content]
    if missing:
        raise PipelineError(f"{path}: recording without {', '.join(missing)}; restore the file")
    if content["ram_sha256"].ndim != 1:
        raise PipelineError(f"{path}: ram_sha256 is not a list; restore the file")
    return content


def _typed(path: Path, name: str, array: NDArray[Any], kind: type) -> NDArray[Any]:
    """One number per step or episode as `kind`, none of which changes by that."""
    numbers = array.ndim == 1 and array.dtype.kind in "biuf"
    if numbers and not np.issubdtype(kind, np.floating):
        numbers = bool(((array % 1 == 0) & (abs(array.astype(float)) < 2**53)).all())
    if not numbers:
        raise PipelineError(
            f"{path}: {name} is {array.shape} {array.dtype}, expected a list of "
            f"{np.dtype(kind).name}; restore the file"
        )
    return array.astype(kind)


def _check_protocol(
    path: Path, content: dict[str, NDArray[Any]], environment: EnvironmentConfig
) -> None:
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
    actions = _typed(path, "actions", content["actions"], np.int64)
    if actions.size and actions.max() >= len(meanings):
        step = int(actions.argmax())
        raise PipelineError(
            f"{path}: action {actions[step]} at step {step}; allowed: 0 to {len(meanings) - 1}"
        )


def _select(recording: Trajectories, config: DatasetConfig, source: str) -> Trajectories:
    """Keep the episodes that `config` asks for, each cut at `max_episode_steps`."""
    lengths = np.minimum(recording.episode_length, config.max_episode_steps)  # (E,)
    kept = np.flatnonzero(recording.epsilon <= config.max_epsilon + 1e-6)[: config.max_episodes]
    if config.max_steps is not None:
        kept = kept[np.cumsum(lengths[kept]) <= config.max_steps]
    if not len(kept):
        raise PipelineError(
            f"{recording.source}: no episode left; raise max_epsilon or max_steps of the dataset"
        )
    cut = lengths < recording.episode_length  # (E,)
    steps = np.concatenate([recording.starts[i] + np.arange(lengths[i]) for i in kept])  # (T,)
    rewards = recording.rewards[steps]
    begins = np.cumsum(lengths[kept]) - lengths[kept]
    return Trajectories(
        actions=recording.actions[steps],
        rewards=rewards,
        episode_length=lengths[kept],
        terminated=(recording.terminated & ~cut)[kept],
        score=np.add.reduceat(rewards.astype(np.float64), begins),
        seed=recording.seed[kept],
        noops=recording.noops[kept],
        epsilon=recording.epsilon[kept],
        # the recorded hash belongs to the end of the whole episode, which a cut one does not reach
        state_sha256=tuple("" if cut[i] else recording.state_sha256[i] for i in kept),
        source=source,
    )
