"""The `dqn_replay` source: the DQN Replay data set (Agarwal et al. 2020), as Dopamine logged it.

`file` is the folder `<game>/<run>/replay_logs`. A checkpoint N of up to a million rows is a set of
gzip files, `$store$_{observation,action,reward,terminal}_ckpt.N.gz` and `add_count_ckpt.N.gz`:
frames of 84 by 84 grey pixels, rewards clipped to [-1, 1]. Before an episode there are three rows
of zeros. The checkpoints were recorded one after the other; each begins and ends in the middle of
an episode, and these two parts are left out, for their returns are not known.

`fraction` is taken from the beginning of every checkpoint alike, so little is read of each file.
Memory holds the small arrays of one checkpoint and a piece of its frames, whatever the fraction.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import environments
from pipeline.config.data import CLIPPED
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources._checks import check_counts, find, flags
from pipeline.data.sources._gzip_array import GzipArray
from pipeline.data.sources._quota import EpisodeQuota
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Frame
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError

READS = ("file", "checkpoints")
ONE_FILE = True
PADDING = 3
"""Rows of zeros before an episode: Dopamine stacks four frames."""
SIZE = 84
PIECE = 256
"""Rows of frames read at a time."""
ARRAYS = {
    "observation": (np.uint8, (SIZE, SIZE)),
    "action": (np.int32, ()),
    "reward": (np.float32, ()),
    "terminal": (np.uint8, ()),
}


@dataclass(frozen=True)
class _Checkpoint:
    """The whole episodes of one set of files."""

    number: int
    actions: NDArray[np.int64]
    """(rows,)"""
    rewards: NDArray[np.float32]
    """(rows,)"""
    starts: NDArray[np.int64]
    """(E,) first row of each episode."""
    lengths: NDArray[np.int64]
    """(E,)"""


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read actions, rewards and ends of the episodes that `config` asks for.

    Raises PipelineError: missing, damaged or differing files, a checkpoint missing between others,
    an unknown action, another `screen` than the one recorded, and what `Trajectories` refuses.
    """
    folder = find(config, resources)
    _check_screen(environment, folder)
    space = environments.action_space(environment)
    parts, ended = [], []
    quota = EpisodeQuota(config)
    for checkpoint in _checkpoints(config, folder):
        _check(checkpoint, space, folder)
        lengths = quota.cut(checkpoint.lengths)  # (E,)
        kept = slice(quota.take(checkpoint.lengths))
        rows = _rows(checkpoint.starts[kept], lengths[kept])
        parts.append((checkpoint.actions[rows], checkpoint.rewards[rows], lengths[kept]))
        ended.append((lengths == checkpoint.lengths)[kept])
    check_counts(config, folder, quota.episodes_offered, quota.steps_offered)
    quota.check_kept(folder)
    actions, rewards, length = (np.concatenate(column) for column in zip(*parts, strict=True))
    starts = np.cumsum(length) - length
    return Trajectories(
        actions=actions,
        rewards=rewards,
        episode_length=length,
        terminated=np.concatenate(ended),
        score=np.add.reduceat(rewards.astype(np.float64), starts),
        source=f"DQN replay {environment.game} ({config.fraction:.3g} of it, {CLIPPED})",
    )


def frames(
    config: DatasetConfig, environment: EnvironmentConfig, resources: Path
) -> Iterator[Frame]:
    """The frame of every step that `collect` keeps, in order: (84, 84, 3), grey in each channel.

    Raises PipelineError as `collect` does, and where a file breaks off or an episode is not
    preceded by zeros.
    """
    folder = find(config.model_copy(update={"sha256": {}}), resources)
    quota = EpisodeQuota(config)
    for checkpoint in _checkpoints(config, folder):
        kept = slice(quota.take(checkpoint.lengths))
        starts, lengths = checkpoint.starts[kept], quota.cut(checkpoint.lengths)[kept]
        yield from _frames(folder, checkpoint.number, starts, lengths)


def _frames(
    folder: Path, number: int, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterator[Frame]:
    """Frames of the episodes of one checkpoint, read no further than the last of them."""
    if not len(starts):
        return
    wanted = np.zeros(int(starts[-1] + lengths[-1]), np.bool_)  # (rows,)
    wanted[_rows(starts, lengths)] = True
    zeros = np.zeros_like(wanted)
    zeros[_rows(starts - PADDING, np.full_like(starts, PADDING))] = True
    with _open(folder, "observation", number) as array:
        for first in range(0, len(wanted), PIECE):
            piece = array.read(min(PIECE, len(wanted) - first))  # (rows, 84, 84)
            rows = slice(first, first + len(piece))
            if piece[zeros[rows]].any():
                raise PipelineError(
                    f"{array.path}: an episode of rows {first} to {first + len(piece) - 1} is not "
                    f"preceded by {PADDING} frames of zeros; this is not Dopamine's layout"
                )
            for grey in piece[wanted[rows]]:
                yield np.repeat(grey[..., None], 3, axis=-1)  # (84, 84, 3)


def _checkpoints(config: DatasetConfig, folder: Path) -> Iterator[_Checkpoint]:
    """The checkpoints that `config` asks for, one after the other."""
    pattern = re.compile(r"\$store\$_observation_ckpt\.(\d+)\.gz")
    found = [match for file in folder.iterdir() if (match := pattern.fullmatch(file.name))]
    if not found:
        raise PipelineError(
            f"{folder}: no file $store$_observation_ckpt.N.gz; the dataset's 'file' is the folder "
            "<game>/<run>/replay_logs of the DQN Replay data set"
        )
    numbers = [int(match[1]) for match in found]
    first, last = config.checkpoints or (min(numbers), max(numbers))
    for number in range(first, last + 1):
        yield _read(folder, number)


def _read(folder: Path, number: int) -> _Checkpoint:
    """The small arrays of one checkpoint, whole and checked, and where its episodes lie."""
    with _open(folder, "observation", number) as array:
        rows = array.rows
        begins_with_zeros = rows >= PADDING and not array.read(PADDING).any()
    small = {}
    for name in ("action", "reward", "terminal"):
        with _open(folder, name, number) as array:
            if array.rows != rows:
                raise PipelineError(
                    f"{array.path}: {array.rows} rows, but {rows} observations; "
                    "copy the files of this checkpoint again"
                )
            small[name] = array.whole()
    valid = _valid_rows(folder, number, rows)
    actions, rewards = small["action"].astype(np.int64), small["reward"]
    place = folder / f"$store$_terminal_ckpt.{number}.gz"
    ends = np.flatnonzero(flags(place, "terminal", small["terminal"][:valid]))
    after = np.concatenate([[-1], ends]) + 1  # (runs,) first row after each end, and row 0
    starts, ends = after[: len(ends)] + PADDING, ends + 1
    if len(starts) and not begins_with_zeros:  # goes on with an episode of the checkpoint before
        starts, ends = starts[1:], ends[1:]
    empty = starts >= ends
    padding = _rows(starts - PADDING, np.full_like(starts, PADDING))
    if empty.any() or actions[padding].any() or rewards[padding].any():
        raise PipelineError(
            f"{folder}: checkpoint {number}: episodes are not preceded by {PADDING} rows of zeros; "
            "this is not Dopamine's layout"
        )
    return _Checkpoint(number, actions, rewards, starts, ends - starts)


def _valid_rows(folder: Path, number: int, rows: int) -> int:
    """Rows written since the memory last began anew: Dopamine logs it before its last row is
    overwritten, and after the last checkpoint much is left of the one before.
    """
    path = folder / f"add_count_ckpt.{number}.gz"
    if not path.exists():
        return rows - 1
    with GzipArray(path) as array:
        count = int(array.whole()) if array.shape == () else -1
    if count < 1:
        raise PipelineError(f"{path}: not a number of rows; copy the file again")
    return count % rows or rows


def _open(folder: Path, name: str, number: int) -> GzipArray:
    """One of the four arrays of a checkpoint, of the right type and shape."""
    array = GzipArray(folder / f"$store$_{name}_ckpt.{number}.gz")
    dtype, shape = ARRAYS[name]
    if array.shape[1:] != shape or len(array.shape) != 1 + len(shape) or array.dtype != dtype:
        with array:
            raise PipelineError(
                f"{array.path}: {array.dtype} {array.shape}, expected {np.dtype(dtype)} "
                f"{('rows', *shape)}; this is not the DQN Replay data set"
            )
    return array


def _rows(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of `lengths` rows from each of `starts`, one episode after the other."""
    before = np.cumsum(lengths) - lengths
    rows: NDArray[np.int64] = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    return rows


def _check(checkpoint: _Checkpoint, space: ActionSpace, folder: Path) -> None:
    rows = _rows(checkpoint.starts, checkpoint.lengths)
    fault = space.fault(checkpoint.actions[rows])
    if fault is None and not np.isfinite(checkpoint.rewards[rows]).all():
        fault = "a reward that is not a number"
    elif fault is None and (abs(checkpoint.rewards[rows]) > 1).any():
        fault = "a reward that is not clipped to [-1, 1]"
    if fault is not None:
        raise PipelineError(
            f"{folder}: checkpoint {checkpoint.number}: {fault}; check that the folder is of the "
            "environment's game, or copy the files again"
        )


def _check_screen(environment: EnvironmentConfig, folder: Path) -> None:
    if environment.screen != "grey_84":
        raise PipelineError(
            f"{folder}: these frames are 84 by 84 and grey, but a live frame of the environment "
            f"would not be (screen: {environment.screen}); set the dataset's screen: grey_84"
        )
