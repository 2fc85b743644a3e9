"""Which episodes of a recording a data set keeps, and where it cuts them."""

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import DatasetConfig
from pipeline.data.sources._quota import EpisodeQuota
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

PER_STEP = ("actions", "rewards", "observations", "qpos")


def select(recording: Trajectories, config: DatasetConfig, source: str) -> Trajectories:
    """Keep the episodes that `config` asks for, each cut at `max_episode_steps`; `source` names
    what is left.

    Raises PipelineError if nothing is left, or if `max_epsilon` is asked of a recording that does
    not know it.
    """
    kept = np.arange(len(recording.episode_length))
    if config.max_epsilon < 1:
        if recording.epsilon is None:
            raise PipelineError(
                f"{recording.source}: it has no epsilon; remove max_epsilon from the dataset"
            )
        kept = np.flatnonzero(recording.epsilon <= config.max_epsilon + 1e-6)
    quota = EpisodeQuota(config)
    kept = kept[: quota.take(recording.episode_length[kept])]
    quota.check_kept(recording.source)
    lengths = quota.cut(recording.episode_length)  # (E,)
    return _cut(recording, kept, lengths, source)


def _cut(
    recording: Trajectories, kept: NDArray[np.int64], lengths: NDArray[np.int64], source: str
) -> Trajectories:
    """Episodes `kept`, each to its length in `lengths` (E,)."""
    cut = lengths < recording.episode_length  # (E,)
    steps = np.concatenate([recording.starts[i] + np.arange(lengths[i]) for i in kept])  # (T,)
    values = {field.name: getattr(recording, field.name) for field in fields(recording)}
    values = {
        name: None if value is None else value[steps if name in PER_STEP else kept]
        for name, value in values.items()
        if name not in {"source", "state_sha256"}
    }
    hashes = recording.state_sha256
    if hashes is not None:
        # the recorded hash belongs to the end of the whole episode, which a cut one does not reach
        hashes = tuple("" if cut[i] else hashes[i] for i in kept)
    begins = np.cumsum(lengths[kept]) - lengths[kept]
    values |= {
        "episode_length": lengths[kept],
        "terminated": (recording.terminated & ~cut)[kept],
        "score": np.add.reduceat(recording.rewards[steps].astype(np.float64), begins),
    }
    return Trajectories(**values, state_sha256=hashes, source=source)
