"""The `hdf5` source: one file in D4RL's layout (Fu et al. 2020), such as `hopper_medium-v2.hdf5`.

T steps in a row: `observations` (T, D), `actions` (T, A), `rewards` and `terminals` (T,),
`timeouts` (T,), and where the file has them `infos/qpos`, which frames are drawn from. An episode
ends at a terminal or a timeout; a file without timeouts is cut at `max_episode_steps`, as
D4RL's own reader does. Steps after the last end are left out, for their return is not known.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources._checks import check_counts, find, fit, share
from pipeline.data.sources._hdf5 import opened
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": np.bool_,
    "timeouts": np.bool_,
    "infos/qpos": np.float32,
}
REQUIRED = ("observations", "actions", "rewards", "terminals")
PER_STEP = ("rewards", "terminals", "timeouts")


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read the file, split it into episodes, keep those that `config` asks for.

    Raises PipelineError: missing or damaged file, missing key, arrays of different lengths, other
    actions or observations than the environment's, a number that is none, and whatever
    `Trajectories` refuses.
    """
    path = find(config, resources)
    with opened(path) as file:
        content = _read(file, path)
    actions, observations = content["actions"], content["observations"]
    qpos = fit(path, environment, actions, observations, content.get("infos/qpos"))
    lengths = _lengths(content["terminals"], content.get("timeouts"), config.max_episode_steps)
    steps = int(lengths.sum())
    check_counts(config, path, len(lengths), steps)
    starts = np.cumsum(lengths) - lengths
    recording = Trajectories(
        actions=actions[:steps],
        rewards=content["rewards"][:steps],
        episode_length=lengths,
        terminated=content["terminals"][starts + lengths - 1],
        score=np.add.reduceat(content["rewards"][:steps].astype(np.float64), starts),
        observations=observations[:steps],
        qpos=None if qpos is None else qpos[:steps],
        source=str(path),
    )
    return select(recording, config, f"{path.name}{share(config)} (D4RL layout)")


def _read(file: Any, path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the file, each of as many rows as there are steps."""
    missing = [name for name in REQUIRED if name not in file]
    if missing:
        raise PipelineError(
            f"{path}: no {', '.join(missing)} (it has {', '.join(sorted(file))}); "
            "this is not D4RL's layout"
        )
    content = {name: file[name][:] for name in TYPES if name in file}
    steps = len(content["observations"])
    for name, array in content.items():
        if len(array) != steps:
            raise PipelineError(
                f"{path}: {len(array)} {name} for {steps} observations; get the file again"
            )
        if name in PER_STEP:  # D4RL's replay buffers hold them as (T, 1)
            array = array.reshape(steps)
        content[name] = array.astype(TYPES[name])
    return content


def _lengths(
    terminals: NDArray[np.bool_], timeouts: NDArray[np.bool_] | None, longest: int
) -> NDArray[np.int64]:
    """(E,) steps of each whole episode."""
    ends = terminals if timeouts is None else terminals | timeouts
    runs = np.diff(np.flatnonzero(ends), prepend=-1)  # (E,) steps up to each end
    if timeouts is not None:
        return runs
    tail = len(ends) - int(runs.sum())
    parts = [[longest] * (run // longest) + [run % longest] for run in (*runs.tolist(), tail)]
    parts[-1].pop()  # steps after the last end
    return np.array([length for part in parts for length in part if length], np.int64)
