"""Squares of frames as tokens, of one game and of several."""

import torch

from pipeline.nn.local_tokens import FrameTokens

SHAPE = (4, 84, 84)


def test_frames_of_several_games_are_standardised_each_by_its_own() -> None:
    torch.manual_seed(0)
    told = [
        {"pixel_mean": torch.rand(84, 84) * 200, "pixel_std": 5.0},
        {"pixel_mean": torch.rand(84, 84) * 20, "pixel_std": 50.0},
    ]
    together = FrameTokens(SHAPE, 14, 8, tasks=2)
    together.fit({"pixel_mean": torch.full((84, 84), 100.0), "pixel_std": 55.0}, told)
    frames = torch.randint(0, 256, (3, 2, *SHAPE), dtype=torch.uint8)
    task = torch.tensor([1, 0, 1])
    made = together(frames, task)
    assert made.shape == (3, 2, 36, 8)
    for place, own in enumerate(told):
        alone = FrameTokens(SHAPE, 14, 8)
        alone.load_state_dict(alone.state_dict() | _weights(together))
        alone.fit(own)
        torch.testing.assert_close(
            made[task == place], alone(frames[task == place]), atol=1e-3, rtol=1e-3
        )


def _weights(tokens: FrameTokens) -> dict[str, torch.Tensor]:
    return {name: x for name, x in tokens.state_dict().items() if name not in FrameTokens.of_data}
