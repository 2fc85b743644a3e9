"""Observations of the pixel baselines: four stacked 84 by 84 grey frames, stored and live.

Tensor: `frames` (B, S, 4, 84, 84) uint8, oldest first; before an episode's start its first frame
repeats (docs/method.md §4). Frames are shrunk by exact area interpolation in whole numbers, so that
a frame shrunk live equals its stored row bit for bit, whatever the batch and the number of threads.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.config.methods._pictures import SIZE as SIZE
from pipeline.data.trajectories import Trajectories
from pipeline.environments.resize import area_sums
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.io.running_stats import Moments
from pipeline.observations import MEMORY_MB, LiveStep, Observation, ObserverInputs

KIND = "pixels"
STACK = 4
AGO = np.arange(STACK - 1, -1, -1)  # (4,): 3, 2, 1, 0 steps ago
LUMINANCE = np.array([299, 587, 114], np.float32)  # ITU-R BT.601, in thousandths
CHUNK = 10  # frames shrunk at a time: what stays in the processor's cache


def shrink(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB frames (B, H, W, 3) to grey (B, 84, 84): each pixel the mean of the area it covers."""
    batch, height, width, _ = frames.shape
    grey = frames.reshape(-1, 3).astype(np.float32) @ LUMINANCE  # (B·H·W,)
    grey = np.floor((grey + 500) / 1000).reshape(batch, height, width)  # (B, H, W)
    summed, area = area_sums(grey, SIZE)  # (B, 84, 84)
    shrunk: NDArray[np.uint8] = np.floor((2 * summed + area) / (2 * area)).astype(np.uint8)
    return shrunk


def shrink_artefact(frames: Path, output: Path) -> None:
    """Write the pixels artefact: every distinct frame of a frames artefact, `step_frame`, and what
    standardises them: the mean frame, and one deviation for all pixels.
    """
    source = Artefact(frames, "frames")
    total = source.shape("frames")[0]
    attributes = {key: value for key, value in source.attributes.items() if key != "versions"}
    with ArtefactWriter(output, KIND, attributes) as writer:
        writer.create("frames", (SIZE, SIZE), np.uint8)
        moments = Moments()
        for start in tqdm(range(0, total, CHUNK), desc="shrink frames", unit="chunk", leave=False):
            stop = min(start + CHUNK, total)
            shrunk = shrink(source.read("frames", start, stop))
            writer.append("frames", shrunk)
            moments.add(shrunk)
        writer.write("step_frame", source.read("step_frame"))
        std = np.sqrt(np.square(moments.std, dtype=np.float64).mean())
        writer.write("pixel_mean", moments.mean)
        writer.write("pixel_std", np.array([max(std, 1.0)], np.float32))
    source.close()


class PixelStore:
    """The stored side: stacks of a data set's steps."""

    def __init__(self, path: Path, trajectories: Trajectories, memory_mb: int) -> None:
        self._artefact = Artefact(path, KIND, memory_mb=memory_mb)
        self._step_frame: NDArray[np.int64] = self._artefact.read("step_frame")  # (T,)
        self.steps = len(self._step_frame)
        self._first = trajectories.starts[trajectories.episode]  # (T,)
        self.attributes: dict[str, Any] = {
            **self._artefact.attributes,
            "pixel_mean": self._artefact.read("pixel_mean"),
            "pixel_std": float(self._artefact.read("pixel_std")[0]),
        }
        self.shape: dict[str, tuple[int, ...]] = {"frames": (STACK, SIZE, SIZE)}

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """Stacks of `steps` (B, S): (B, S, 4, 84, 84); negative steps give zeros."""
        padding = steps < 0
        real = np.where(padding, 0, steps)
        stack = np.maximum(real[..., None] - AGO, self._first[real][..., None])  # (B, S, 4)
        frames = self._artefact.gather("frames", self._step_frame[stack])  # (B, S, 4, 84, 84)
        frames[padding] = 0
        return {"frames": torch.from_numpy(frames)}


class PixelObserver:
    """The live side: remembers the last frames of every episode by its id."""

    def __init__(self) -> None:
        self._history: dict[int, NDArray[np.uint8]] = {}

    def observe(self, live: LiveStep) -> Observation:
        """Stacks that end in the live step's frames: (B, 1, 4, 84, 84)."""
        episodes = live.episodes.tolist()
        if live.timestep == 0:  # what was played before has other episodes of the same ids
            self._history.clear()
        for episode, grey in zip(episodes, shrink(live.frames), strict=True):
            earlier = self._history.get(episode, np.repeat(grey[None], STACK, axis=0))
            self._history[episode] = np.concatenate([earlier[1:], grey[None]])  # (4, 84, 84)
        stacks = np.stack([self._history[episode] for episode in episodes])
        return {"frames": torch.from_numpy(stacks[:, None])}  # (B, 1, 4, 84, 84)


def open_store(path: Path, trajectories: Trajectories, memory_mb: int = MEMORY_MB) -> PixelStore:
    """Open a pixels artefact for training; raises PipelineError where it is not a whole one."""
    return PixelStore(path, trajectories, memory_mb)


def open_observer(inputs: ObserverInputs) -> PixelObserver:
    """The live side, which needs nothing of stage one and computes on the processor."""
    return PixelObserver()
