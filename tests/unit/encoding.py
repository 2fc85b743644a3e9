"""A tiny world for the tests of detector, encoder and cache: a screen with two moving boxes."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.schema import DetectorConfig, EncoderConfig, FeaturesConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.features import encoders
from pipeline.features.encoders import Encoder, lxmert
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.io.resumable import PartsWriter
from pipeline.vision import detectors
from pipeline.vision import regions as region_files
from pipeline.vision.detectors import Regions

DETECTOR = DetectorConfig(regions=5, feature_size=8)
ENCODER = EncoderConfig(
    width=16,
    heads=2,
    language_layers=1,
    relationship_layers=1,
    cross_layers=1,
    text_tokens=12,
    pretraining_steps=4,
    pretraining_batch=8,
)
FEATURES = FeaturesConfig(detector=DETECTOR, encoder=ENCODER, encoding_batch=3)
PROMPTS = Prompts(
    ["wait where you are", "move to the right", "move left"], np.array([0, 1, 2, 1], np.int64)
)
"""Four actions, of which two share a sentence; sentences of different lengths."""
SPACE = ActionSpace(("WAIT", "RIGHT", "LEFT", "FIRE"))


def frames(count: int) -> NDArray[np.uint8]:
    """(count, 40, 32, 3): a red box that falls, a green one that moves, a blue one now and then."""
    screen = np.full((count, 40, 32, 3), (16, 16, 48), np.uint8)
    for index, frame in enumerate(screen):
        x, y = 3 + 5 * index % 24, 2 + 3 * index % 28
        frame[y : y + 3, 4:7] = (230, 60, 60)
        frame[36:38, x : x + 6] = (60, 220, 90)
        if index % 3 == 0:
            frame[12:16, 20:25] = (60, 90, 220)
    return screen


def trajectories(lengths: tuple[int, ...] = (7, 5), seed: int = 0) -> Trajectories:
    """Episodes of random actions among four."""
    episodes, steps = len(lengths), sum(lengths)
    return Trajectories(
        actions=np.random.default_rng(seed).integers(4, size=steps),
        rewards=np.zeros(steps, np.float32),
        episode_length=np.array(lengths, np.int64),
        terminated=np.ones(episodes, np.bool_),
        score=np.zeros(episodes),
        seed=np.arange(episodes),
        noops=np.zeros(episodes, np.int64),
        epsilon=np.zeros(episodes),
        state_sha256=("",) * episodes,
        source="test",
    )


def write_frames(path: Path, count: int, step_frame: NDArray[np.int64]) -> Artefact:
    with ArtefactWriter(path, "frames", {}) as writer:
        writer.write("frames", frames(count))
        writer.write("step_frame", step_frame)
        writer.write("step_state", np.stack([step_frame, step_frame % 3], axis=1).astype(np.uint8))
    return Artefact(path, "frames")


def write_regions(path: Path, stored: Artefact) -> Artefact:
    with PartsWriter(path, "regions", {"detector": DETECTOR.model_dump()}) as writer:
        region_files.detect(detectors.make(DETECTOR), stored, writer)
    return Artefact(path, "regions")


def encoder(folder: Path, config: EncoderConfig = ENCODER) -> Encoder:
    """An encoder with initial weights, written to and read from `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    lxmert.create(config, DETECTOR.feature_size, PROMPTS.sentences, folder)
    return encoders.load(config, folder)


def live(folder: Path) -> StepEncoder:
    """The encoder as acting uses it, with the detector."""
    return StepEncoder(detectors.make(DETECTOR), encoder(folder), PROMPTS.sentences)


def some_regions(count: int = 4, regions: int = 6) -> Regions:
    """Random regions; frame i has i of them, so the first has none."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(regions) < torch.arange(count)[:, None]  # (B, N)
    size = DETECTOR.feature_size
    features = torch.randn(count, regions, size, generator=generator).half() * mask[..., None]
    boxes = torch.rand(count, regions, 4, generator=generator) * mask[..., None]
    return Regions(features, boxes, mask)
