"""The `hdf5` source: one file in D4RL's layout (Fu et al. 2020), such as `hopper_medium-v2.hdf5`.

T steps in a row: `observations` (T, D), `actions` (T, A), `rewards` and `terminals` (T,),
`timeouts` (T,), and where the file has them `infos/qpos`, which frames are drawn from. An episode
ends at a terminal or a timeout; a file without timeouts is cut at `max_episode_steps`, as
D4RL's own reader does. Steps after the last end are left out, for their return is not known, and
counted on the screen. A file with timeouts in which an episode goes on beyond the limit that it was
recorded with has ends that are not marked, and is refused: two episodes would be read as one.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.config import plugins
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources._checks import check_counts, clipped, find, fit, flags, share
from pipeline.data.sources._hdf5 import find as find_inside
from pipeline.data.sources._hdf5 import opened
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

READS = ("file", "clip_actions")
ONE_FILE = True
TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": np.bool_,
    "timeouts": np.bool_,
    "infos/qpos": np.float32,
}
REQUIRED = ("observations", "actions", "rewards", "terminals")
FLAGS = ("terminals", "timeouts")
PER_STEP = ("rewards", *FLAGS)


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read the file, split it into episodes, keep those that `config` asks for.

    Raises PipelineError: missing or damaged file, numbers that lie in another file, missing key,
    arrays of different lengths, ends that are not marked, another robot by its name, other actions
    or observations than the environment's, a number that is none, and whatever `Trajectories`
    refuses.
    """
    path = find(config, resources)
    _check_name(path, environment)
    with opened(path) as file:
        content = _read(file, path)
    actions, note = clipped(config, environment, content["actions"])
    observations = content["observations"]
    qpos = fit(path, environment, actions, observations, content.get("infos/qpos"))
    lengths = _lengths(
        path,
        content["terminals"],
        content.get("timeouts"),
        _longest(environment),
        config.max_episode_steps,
    )
    steps = int(lengths.sum())
    beyond = int((lengths - config.max_episode_steps).clip(min=0).sum())
    if left := len(actions) - steps + beyond:
        tqdm.write(
            f"{path}: of {len(actions)} steps {left} are left out: {left - beyond} after the last "
            f"end of an episode, {beyond} beyond max_episode_steps"
        )
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
    return select(recording, config, f"{path.name}{share(config)} (D4RL layout{note})")


def _read(file: Any, path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the file, each of as many rows as there are steps."""
    stored = {name: find_inside(file, path, name) for name in TYPES}
    missing = [name for name in REQUIRED if stored[name] is None]
    if missing:
        raise PipelineError(
            f"{path}: no {', '.join(missing)} (it has {', '.join(sorted(file))}); "
            "this is not D4RL's layout"
        )
    content = {name: array[:] for name, array in stored.items() if array is not None}
    steps = len(content["observations"])
    for name, array in content.items():
        if len(array) != steps:
            raise PipelineError(
                f"{path}: {len(array)} {name} for {steps} observations; get the file again"
            )
        if array.dtype.kind not in "biuf":
            raise PipelineError(f"{path}: {name} are {array.dtype}, no numbers; get the file again")
        if name in PER_STEP:  # D4RL's replay buffers hold them as (T, 1)
            array = array.reshape(steps)
        with np.errstate(over="ignore"):  # becomes infinite, which is looked for
            content[name] = flags(path, name, array) if name in FLAGS else array.astype(TYPES[name])
    return content


def _check_name(path: Path, environment: EnvironmentConfig) -> None:
    """D4RL's files are named after the robot, and the arrays of some robots have the same sizes."""
    known: dict[str, str] = getattr(
        plugins.load("environments", environment.family), "games", dict
    )()
    robot = path.stem.replace("-", "_").partition("_")[0].lower()
    for name in known:
        if robot == name.lower() != environment.game.lower():
            raise PipelineError(
                f"{path}: by its name it was recorded with {name}, the environment says "
                f"{environment.game}; correct the dataset's 'file' or 'environment'"
            )


def _longest(environment: EnvironmentConfig) -> int | None:
    """Steps after which the environment cuts an episode, where it does."""
    family = plugins.load("environments", environment.family)
    longest = getattr(family, "longest_episode", None)
    limit: int | None = longest and longest(environment)
    return limit


def _lengths(
    path: Path,
    terminals: NDArray[np.bool_],
    timeouts: NDArray[np.bool_] | None,
    longest: int | None,
    asked: int,
) -> NDArray[np.int64]:
    """(E,) steps of each whole episode; `longest` is the environment's limit, `asked` the data
    set's.
    """
    ends = terminals if timeouts is None else terminals | timeouts
    runs = np.diff(np.flatnonzero(ends), prepend=-1)  # (E,) steps up to each end
    tail = len(ends) - int(runs.sum())
    if timeouts is None:
        return _cut(runs, tail, min(asked, longest or asked))
    longest = _limit(runs[(timeouts & ~terminals)[np.flatnonzero(ends)]], longest, asked)
    every = np.append(runs, tail)
    if longest is not None and every.max() > longest:
        episode = int((every > longest).argmax())
        marked = "some ends are" if timeouts.any() else "all its timeouts are false, so ends are"
        raise PipelineError(
            f"{path}: episode {episode} has {every[episode]} steps, and episodes are cut after "
            f"{longest}: {marked} not marked; mark them in its timeouts, or delete 'timeouts' from "
            f"the file and set max_episode_steps to {longest}, and episodes are cut there"
        )
    if not len(runs) and tail:
        raise PipelineError(
            f"{path}: zero episodes: no step is marked in its terminals or timeouts; delete "
            "'timeouts' from the file, and episodes are cut after max_episode_steps"
        )
    return runs


def _limit(cut: NDArray[np.int64], longest: int | None, asked: int) -> int | None:
    """The steps that no episode exceeds: the environment's limit, or a smaller one that is seen in
    the lengths (E,) of episodes that were cut. It is seen where they have the length that the data
    set asks for, or where half of them, and at least two, have the same.
    """
    limits = [] if longest is None else [longest]
    lengths, counts = np.unique(cut, return_counts=True)
    if len(cut) and counts.max() >= max(2, len(cut) / 2):
        limits.append(int(lengths[counts.argmax()]))
    if asked in lengths:
        limits.append(asked)
    return min(limits, default=None)


def _cut(runs: NDArray[np.int64], tail: int, longest: int) -> NDArray[np.int64]:
    """(E,) lengths, from runs (R,) of steps up to each terminal and a rest, cut every `longest`."""
    parts = [[longest] * (run // longest) + [run % longest] for run in (*runs.tolist(), tail)]
    parts[-1].pop()  # steps after the last end
    return np.array([length for part in parts for length in part if length], np.int64)
