"""Squares of frames as tokens, of one game and of several."""

from collections.abc import Callable

import pytest
import torch

from pipeline.nn.local_tokens import ConvolvedTokens, FrameTokens, PlacedFrames
from pipeline.nn.state_encoders import FrameEncoder

SHAPE = (4, 84, 84)


def squares(tasks: int = 0) -> PlacedFrames:
    return FrameTokens(SHAPE, 14, 8, tasks)


def convolved(tasks: int = 0) -> PlacedFrames:
    return ConvolvedTokens(SHAPE, 8, tasks)


def whole(tasks: int = 0) -> PlacedFrames:
    return ConvolvedTokens(SHAPE, 8, tasks, whole=True)


@pytest.mark.parametrize(("made", "count"), [(squares, 36), (convolved, 16), (whole, 1)])
def test_frames_of_several_games_are_standardised_each_by_its_own(
    made: Callable[..., PlacedFrames], count: int
) -> None:
    torch.manual_seed(0)
    told = [
        {"pixel_mean": torch.rand(84, 84) * 200, "pixel_std": 5.0},
        {"pixel_mean": torch.rand(84, 84) * 20, "pixel_std": 50.0},
    ]
    together = made(tasks=2)
    together.fit({"pixel_mean": torch.full((84, 84), 100.0), "pixel_std": 55.0}, told)
    frames = torch.randint(0, 256, (3, 2, *SHAPE), dtype=torch.uint8)
    task = torch.tensor([1, 0, 1])
    tokens = together(frames, task)
    assert tokens.shape == (3, 2, count, 8)
    assert together.game is not None
    for place, own in enumerate(told):
        alone = made()
        alone.load_state_dict(alone.state_dict() | _weights(together))
        alone.fit(own)
        expected = alone(frames[task == place]) + together.game.weight[place].view(count, 8)
        torch.testing.assert_close(tokens[task == place], expected, atol=1e-3, rtol=1e-3)


def test_the_mean_of_convolved_tokens_is_a_linear_layer_on_all_that_is_seen() -> None:
    torch.manual_seed(0)
    tokens = convolved()
    assert isinstance(tokens, ConvolvedTokens)
    frames = torch.randint(0, 256, (1, 1, *SHAPE), dtype=torch.uint8)
    with torch.no_grad():
        seen = tokens.rest(tokens.first(frames[0] / 255.0))  # (1, 64, 4, 4)
        read = torch.nn.Linear(seen[0].numel(), 8, bias=False)
        places = tokens.maps.transpose(1, 2).reshape(16, 8, 64)  # (place, width, channel)
        read.weight.copy_(places.permute(1, 2, 0).reshape(8, -1) / 16)
        torch.testing.assert_close(tokens(frames)[0].mean(dim=1), read(seen.flatten(1)))


def test_the_token_of_a_whole_picture_is_what_dqn_reads() -> None:
    torch.manual_seed(0)
    tokens, encoder = whole(), FrameEncoder(SHAPE, 8, activation=torch.nn.Identity)
    assert isinstance(tokens, ConvolvedTokens)
    frames = torch.randint(0, 256, (1, 2, *SHAPE), dtype=torch.uint8)
    with torch.no_grad():
        encoder.first.load_state_dict(tokens.first.state_dict())
        encoder.convolutions[:5].load_state_dict(tokens.rest.state_dict())
        # there a channel's places lie together, here a place's channels
        of_places = tokens.maps[0].view(49, 64, 8).transpose(0, 1).flatten(0, 1)
        encoder.output.weight.copy_(of_places.T)
        encoder.output.bias.zero_()
        torch.testing.assert_close(tokens(frames)[:, :, 0], encoder(frames))


def _weights(tokens: PlacedFrames) -> dict[str, torch.Tensor]:
    own = (*PlacedFrames.of_data, "game.weight")
    return {name: x for name, x in tokens.state_dict().items() if name not in own}
