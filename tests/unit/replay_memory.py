"""Files as Dopamine's logged replay memory writes them, for the tests of `dqn_replay`."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"observation": np.uint8, "action": np.int32, "reward": np.float32, "terminal": np.uint8}


@dataclass(frozen=True)
class Played:
    """One episode as it was played."""

    frames: NDArray[np.uint8]
    actions: list[int]
    rewards: list[float]


def episodes(lengths: list[int], seed: int = 0) -> list[Played]:
    generator = np.random.default_rng(seed)
    return [
        Played(
            generator.integers(1, 256, (length, 84, 84), np.uint8),
            generator.integers(0, 4, length).tolist(),
            generator.integers(-1, 2, length).astype(float).tolist(),
        )
        for length in lengths
    ]


class Memory:
    """A ring of `capacity` rows; before an episode it takes three rows of zeros. It is logged when
    all rows but the last are new, and once more at the end.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._capacity = folder, capacity
        # what has never been written is whatever the machine's memory held
        generator = np.random.default_rng(99)
        self._rows: dict[str, NDArray[Any]] = {}
        for name, kind in TYPES.items():
            shape = (capacity, 84, 84) if name == "observation" else (capacity,)
            self._rows[name] = generator.integers(0, 2, shape).astype(kind)
        self._count = self._logs = 0

    def play(self, episode: Played) -> None:
        for _ in range(3):
            self._add(np.zeros((84, 84), np.uint8), 0, 0.0, 0)
        for t, (action, reward) in enumerate(zip(episode.actions, episode.rewards, strict=True)):
            last = t == len(episode.actions) - 1
            self._add(episode.frames[t], action, reward, int(last))
            if self._count % self._capacity == self._capacity - 1:
                self.log(self._count)

    def log(self, count: int) -> None:
        content = {f"$store$_{name}": rows for name, rows in self._rows.items()}
        content["add_count"] = np.array(count)
        content["invalid_range"] = np.arange(count - 1, count + 4) % self._capacity
        for name, array in content.items():
            path = self._folder / f"{name}_ckpt.{self._logs}.gz"
            with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb") as file:
                np.save(file, array, allow_pickle=False)
        self._logs += 1

    def close(self) -> None:
        self.log(self._count % self._capacity)

    def _add(self, *row: Any) -> None:
        for name, value in zip(TYPES, row, strict=True):
            self._rows[name][self._count % self._capacity] = value
        self._count += 1
