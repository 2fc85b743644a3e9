"""How the position of a region enters LXMERT: its four box coordinates, or sines and cosines of
them.

The published weights take the coordinates themselves. From them a network learns fine differences
of position slowly, since whatever is linear in a coordinate hardly changes over a few pixels.
Waves of doubling frequency make near positions unlike (Tancik et al. 2020; DETR, Carion et al.
2020).
"""

import math

import torch
from torch import Tensor, nn

COORDINATES = 4
"""x0, y0, x1, y1."""
COORDINATE_SCALE = 4.0
"""Standard deviation of the projection's initial weights on coordinates, against biases of 1."""
WAVE_SCALE = 0.5
"""The same on waves."""


def encoded_size(frequencies: int) -> int:
    """LXMERT's `visual_pos_dim` for so many frequencies per coordinate; 0: the coordinates."""
    return 2 * COORDINATES * frequencies if frequencies else COORDINATES


def encode(boxes: Tensor, size: int) -> Tensor:
    """Boxes (…, 4) in [0, 1] as `size` numbers each (…, size).

    The slowest wave is twice as long as the frame, every further one half as long as the one
    before.
    """
    if size == COORDINATES:
        return boxes
    frequencies = size // (2 * COORDINATES)
    rates = math.pi * 2.0 ** torch.arange(frequencies, device=boxes.device)
    angles = boxes[..., None] * rates  # (…, 4, frequencies)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def initialise(projection: nn.Linear, generator: torch.Generator) -> None:
    """Draw the weights so that the projection's direction, which LayerNorm keeps, turns with the
    place.

    On coordinates it is wide and centred on the middle of the frame. With the library's default
    (std 0.02, zero biases) boxes on one ray from the corner are alike, and everywhere the direction
    turns slowly.
    """
    coordinates = projection.in_features == COORDINATES
    scale = COORDINATE_SCALE if coordinates else WAVE_SCALE
    nn.init.normal_(projection.weight, std=scale, generator=generator)
    nn.init.normal_(projection.bias, std=1.0, generator=generator)
    if coordinates:
        projection.bias.data -= 0.5 * projection.weight.data.sum(dim=1)
