"""How many of a source's episodes a data set keeps: the first ones, offered a file at a time."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import DatasetConfig
from pipeline.errors import PipelineError


class EpisodeQuota:
    """Keeps whole episodes in order, up to the number, the steps and the fraction asked for.

    The fraction is of the steps offered so far, so that each of several files gives its share.
    """

    def __init__(self, config: DatasetConfig) -> None:
        self._config = config
        self.episodes_offered = self.steps_offered = self._cut_steps_offered = 0
        self.episodes = self.steps = 0
        self._full = False

    def cut(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """(E,) lengths of episodes after they are cut at `max_episode_steps`."""
        return np.minimum(lengths, self._config.max_episode_steps)

    def take(self, lengths: NDArray[np.int64]) -> int:
        """Offer the next episodes, of `lengths` (E,) before they are cut; how many are kept."""
        cut = self.cut(lengths)
        self.episodes_offered += len(lengths)
        self.steps_offered += int(lengths.sum())
        self._cut_steps_offered += int(cut.sum())
        # 0.29 of 100 steps are 29, though the product is a little less
        room = math.floor(self._config.fraction * self._cut_steps_offered + 1e-6) - self.steps
        count = int((np.cumsum(cut) <= room).sum())
        if self._config.max_steps is not None:
            fitting = int((np.cumsum(cut) <= self._config.max_steps - self.steps).sum())
            count = 0 if self._full else min(count, fitting)
            self._full |= count == fitting < len(cut)  # shorter ones of later files are not next
        if self._config.max_episodes is not None:
            count = min(count, self._config.max_episodes - self.episodes)
        self.episodes += count
        self.steps += int(cut[:count].sum())
        return count

    def check_kept(self, where: Path | str) -> None:
        """Raise a PipelineError if nothing has been kept."""
        if not self.episodes:
            raise PipelineError(
                f"{where}: no episode left; raise fraction, max_steps or max_epsilon of the dataset"
            )
