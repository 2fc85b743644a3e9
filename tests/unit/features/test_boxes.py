"""Boxes as waves: by hand, and what tells near places apart."""

import math

import pytest
import torch

from pipeline.features.encoders import _boxes


def test_waves_by_hand() -> None:
    box = torch.tensor([0.0, 0.25, 0.5, 1.0])
    waves = _boxes.encode(box, _boxes.encoded_size(2)).view(4, 4)
    half = math.sqrt(0.5)
    expected = [[0, 0, 1, 1], [half, 1, half, 0], [1, 0, 0, -1], [0, 0, -1, 1]]  # sin π, 2π; cos
    torch.testing.assert_close(waves, torch.tensor(expected), atol=1e-6, rtol=0)


def test_without_frequencies_a_box_is_its_coordinates() -> None:
    boxes = torch.rand(2, 3, 4)
    assert torch.equal(_boxes.encode(boxes, _boxes.encoded_size(0)), boxes)


@pytest.mark.parametrize("frequencies", [1, 6])
def test_places_are_told_apart(frequencies: int) -> None:
    """The slowest wave is twice as long as the frame, so no two places have the same code."""
    place = torch.linspace(0, 1, 100)[:, None].expand(-1, 4)
    waves = _boxes.encode(place, _boxes.encoded_size(frequencies))
    assert waves.shape == (100, 8 * frequencies)
    assert torch.pdist(waves).min() > 1e-2
