"""Where stage one computes, and in what precision: in the cache and in play alike."""

import dataclasses
from pathlib import Path

import pytest
import torch
from encoding import DETECTOR, ENCODER, PROMPTS, encoder, frames, some_regions

from pipeline import detectors, devices, encoders
from pipeline.errors import PipelineError
from pipeline.step_encoder import StepEncoder


def test_a_gpu_that_is_not_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose("cpu") == torch.device("cpu")
    with pytest.raises(PipelineError, match=r"device cuda: no GPU is found here .*device: cpu"):
        devices.choose("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_what_the_cpu_gives(tmp_path: Path) -> None:
    encoder(tmp_path)
    found = []
    for name in ("cpu", "cuda"):
        device = devices.choose(name)
        model = encoders.load(ENCODER, tmp_path, device)
        live = StepEncoder(detectors.make(DETECTOR, device), model, PROMPTS.sentences)
        found.append(live(frames(6), torch.zeros(6, dtype=torch.int64)).tokens.float().cpu())
    torch.testing.assert_close(*found, atol=1e-2, rtol=1e-2)


def test_bfloat16_is_near_and_finite(tmp_path: Path) -> None:
    """Frames without a region among them, whose attention is masked everywhere."""
    regions, pairs = some_regions(), torch.arange(4)
    exact, mixed = (
        StepEncoder(None, encoder(tmp_path), PROMPTS.sentences, precision).encode_regions(
            regions, pairs, pairs % 3
        )
        for precision in ("float32", "bfloat16")
    )
    assert mixed.tokens.dtype == torch.float16
    assert torch.isfinite(mixed.tokens).all()
    difference = (mixed.tokens.float() - exact.tokens.float()).abs().max()
    assert 0 < difference < 0.05


def test_detectors_in_bfloat16() -> None:
    exact = detectors.make(DETECTOR)(frames(6))
    mixed = detectors.make(DETECTOR.model_copy(update={"precision": "bfloat16"}))(frames(6))
    for field in dataclasses.fields(exact):
        assert getattr(mixed, field.name).dtype == getattr(exact, field.name).dtype
    assert torch.equal(mixed.boxes, exact.boxes)
    difference = (mixed.features.float() - exact.features.float()).abs().max()
    assert 0 < difference < 0.05
