"""The `recorded_states` source: episodes of a simulated robot, as state vectors (`.npz` recordings
in `resources/`; see their README).

State vectors, and the positions that they leave out, tell the positions of all joints at every
step, from which `frames` draws. Every episode is also played again from its reset seed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import _npz
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Simulator
from pipeline.errors import PipelineError
from pipeline.io.json import parse

READS = ("file",)
TYPES = {
    "rewards": np.float32,
    "episode_length": np.int64,
    "terminated": np.bool_,
    "score": np.float64,
    "seed": np.int64,
}
VECTORS = ("actions", "observations")
OTHER_KEYS = (*VECTORS, "root_x", "meta")
COMPARED_STEPS = 10
"""Steps of an episode that have to agree when it is played again. All of them do, to the last bit,
on the processors at hand; on another kind contacts multiply differences in rounding in some dozen
steps, and the recording is as good as ever.
"""
TOLERANCE = 1e-3


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read the recordings, cut long episodes, keep those that `config` asks for.

    Raises PipelineError: no or damaged file, missing key, another robot, an action out of bounds,
    state vectors of another size, an episode that goes another way when it is played again, and
    whatever `Trajectories` refuses.
    """
    game = environments.make(environment)
    if not isinstance(game, Simulator):
        raise PipelineError(
            f"dataset: source 'recorded_states' is for robots, {environment.game} is not one; "
            "correct 'source' or 'environment'"
        )

    def read(path: Path, label: str) -> Trajectories:
        recording = _read(path, label, game)
        _play_again(path, recording, game)
        return recording

    recording, name = _npz.collect(config, resources, read)
    return select(recording, config, name)


def _read(path: Path, label: str, game: Simulator) -> Trajectories:
    content = _npz.read(path, (*TYPES, *OTHER_KEYS))
    try:
        meta = parse(str(content["meta"]))
        recorded, version = str(meta["env"]), str(meta["gymnasium"])
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise PipelineError(f"{path}: unreadable 'meta' ({error!r}); restore the file") from None
    if recorded != game.id:
        raise PipelineError(
            f"{path}: recorded in {recorded}, the environment says {game.id}; "
            "correct the dataset's 'file' or 'environment'"
        )
    arrays: dict[str, Any] = {
        **{name: _npz.typed(path, name, content[name], kind) for name, kind in TYPES.items()},
        **{name: _npz.vectors(path, name, content[name]) for name in VECTORS},
    }
    root = content["root_x"]
    root = _npz.vectors(path, "root_x", root[:, None] if root.ndim == 1 else root)
    try:
        qpos = game.positions(arrays["observations"], root)
    except (PipelineError, IndexError, ValueError) as error:
        raise PipelineError(
            f"{path}: {error}; it was recorded with gymnasium {version}: install that, or restore "
            "the file"
        ) from None
    if fault := game.actions.fault(arrays["actions"]):
        raise PipelineError(f"{path}: {fault}; restore the file")
    return Trajectories(**arrays, qpos=qpos, source=f"recorded {label} ({path})")


def _play_again(path: Path, recording: Trajectories, game: Simulator) -> None:
    """Step every episode from its seed; the beginning has to be as recorded."""
    assert recording.seed is not None
    assert recording.observations is not None
    versions = ", ".join(f"{key} {value}" for key, value in game.versions.items())
    exact = 0
    lengths = recording.episode_length.tolist()
    for episode, length in enumerate(tqdm(lengths, f"{game.id}: play again", unit="episode")):
        start = int(recording.starts[episode])
        game.reset(int(recording.seed[episode]), 0)
        largest = 0.0
        for t in range(length):
            difference = np.abs(game.observation() - recording.observations[start + t]).max()
            largest = max(largest, float(difference))
            if t < COMPARED_STEPS and largest > TOLERANCE:
                raise PipelineError(
                    f"{path}: episode {episode} differs by {largest:.2g} at step {t} when it is "
                    f"played again ({versions}); install the versions of requirements.lock, or "
                    "restore the file"
                )
            reward, _ = game.step(recording.actions[start + t])
            paid = float(recording.rewards[start + t])
            if t < COMPARED_STEPS and abs(reward - paid) > TOLERANCE:
                raise PipelineError(
                    f"{path}: episode {episode} is paid {reward:.4g} at step {t} when it is played "
                    f"again, recorded {paid:.4g}; correct the "
                    "environment's options, or restore the file"
                )
        exact += largest == 0
    tqdm.write(f"{path}: {exact} of {len(lengths)} episodes play again to the last bit")
