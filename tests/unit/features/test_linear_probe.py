"""The linear probe: 1 on a planted signal, about 0 on noise, and coordinates of a tiny world."""

import math
from pathlib import Path

import numpy as np
import pytest
from encoding import PROMPTS, encoder, write_frames, write_regions

from pipeline.errors import PipelineError
from pipeline.features import linear_probe
from pipeline.io.artefact import Artefact, ArtefactWriter

COUNT = 192
HELD_OUT = np.arange(800) % 4 == 3


def test_a_planted_linear_signal_is_read() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(800, 30)) * 5 + 2
    target = features @ generator.normal(size=30) + 7
    assert linear_probe.ridge_r2(features, target, HELD_OUT) > 0.99


def test_noise_is_not_read() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(800, 30))
    assert abs(linear_probe.ridge_r2(features, generator.normal(size=800), HELD_OUT)) < 0.15


def test_a_constant_or_nothing_held_out_has_no_r2() -> None:
    features = np.random.default_rng(0).normal(size=(800, 3))
    assert math.isnan(linear_probe.ridge_r2(features, np.ones(800), HELD_OUT))
    assert math.isnan(linear_probe.ridge_r2(features, features[:, 0], np.zeros(800, np.bool_)))


def test_coordinates_of_a_tiny_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte 0 is the frame's number and byte 1 says whether there is a third box."""
    monkeypatch.setattr(linear_probe, "STRETCH", 12)
    stored = write_frames(tmp_path / "frames.h5", COUNT, np.arange(COUNT))
    regions = write_regions(tmp_path / "regions.h5", stored)
    found = linear_probe.coordinates(
        encoder(tmp_path / "encoder"), PROMPTS.sentences, stored, regions, {"blue": 1, "frame": 0}
    )
    assert list(found) == ["blue", "frame"]
    assert found["blue"] > 0.5
    with pytest.raises(PipelineError, match=r"state_variables: ball: address 2; .* 0 to 1"):
        linear_probe.coordinates(
            encoder(tmp_path / "encoder"), PROMPTS.sentences, stored, regions, {"ball": 2}
        )


def test_frames_without_memory(tmp_path: Path) -> None:
    with ArtefactWriter(tmp_path / "frames.h5", "frames", {}) as writer:
        writer.write("frames", np.zeros((1, 8, 8, 3), np.uint8))
    stored = Artefact(tmp_path / "frames.h5", "frames")
    found = linear_probe.coordinates(
        encoder(tmp_path / "e"), PROMPTS.sentences, stored, stored, {"x": 0}
    )
    assert list(found) == ["x"]
    assert math.isnan(found["x"])
