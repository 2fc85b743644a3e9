"""Frames as tokens: a small object is in them, and each frame's tokens are its own."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from pipeline.nn.frame_tokenizer import Drawing, FrameTokenizer
from pipeline.nn.masking import masked_mean

SHAPE = SimpleNamespace(codebook=64, code_width=8, code_decay=0.9, tokenizer_channels=8)
REAL = torch.ones(2, 3, dtype=torch.bool)
TASK = torch.zeros(2, dtype=torch.int64)


def tokenizer_of(seed: int = 0) -> FrameTokenizer:
    torch.manual_seed(seed)
    tokenizer = FrameTokenizer(SHAPE, (4, 84, 84), 1)
    told = {"pixel_mean": np.full((84, 84), 20.0, np.float32), "pixel_std": 15.0}
    tokenizer.fit(told, (told,))
    return tokenizer


def frames() -> Tensor:
    """Of 2 windows of 3 steps: a large picture that never moves but flickers faintly, and a ball of
    2 by 2 pixels.
    """
    generator = np.random.default_rng(0)
    stacks = np.full((2, 3, 4, 84, 84), 20, np.uint8)
    stacks[..., 10:30, :] += generator.integers(0, 9, (2, 3, 1, 20, 84), dtype=np.uint8)
    for stack in stacks.reshape(-1, 4, 84, 84):
        for frame in stack:
            y, x = generator.integers(35, 80, 2)
            frame[y : y + 2, x : x + 2] = 200
    return torch.from_numpy(stacks)


def learned(foreground: float, motion: float, updates: int) -> tuple[FrameTokenizer, Drawing]:
    tokenizer, seen = tokenizer_of(), frames()
    optimizer = torch.optim.Adam(tokenizer.parameters(), 5e-3)
    for _ in range(updates):
        drawing = tokenizer.drawing(seen, TASK)
        loss = drawing.mean(REAL) + 0.25 * drawing.distance.mean()
        loss = loss + foreground * masked_mean(drawing.error, drawing.foreground)
        loss = loss + motion * masked_mean(drawing.error, drawing.moved)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vectors = drawing.vectors.flatten(0, 2)
        tokenizer.codebook.follow(vectors, torch.ones(len(vectors), dtype=torch.bool))
    with torch.no_grad():
        return tokenizer, tokenizer.drawing(seen, TASK)


def test_a_batch_is_learned_with_its_small_objects_which_a_plain_mean_loses() -> None:
    _, plain = learned(0.0, 0.0, 100)
    tokenizer, weighted = learned(1.0, 1.0, 100)
    assert plain.missed(plain.foreground, REAL) > 0.9
    assert weighted.missed(weighted.foreground, REAL) < 0.5
    assert weighted.missed(weighted.moved, REAL) < 0.5
    assert len(tokenizer(frames(), TASK).unique()) > 5


def test_foreground_and_motion_are_what_differs() -> None:
    seen = torch.full((2, 3, 4, 84, 84), 20, dtype=torch.uint8)
    seen[:, :, 2, 40, 50] = 100  # where it was
    seen[:, :, 3, 44, 50] = 100  # where it is
    seen[:, :, :, 7, 7] = 100  # what stands still
    drawing = tokenizer_of().drawing(seen, TASK)
    assert drawing.foreground[0, 0].nonzero().tolist() == [[7, 7], [44, 50]]
    assert drawing.moved[0, 0].nonzero().tolist() == [[40, 50], [44, 50]]
    nothing = drawing._replace(error=drawing.shown)
    assert nothing.missed(drawing.foreground, REAL) == 1
    assert drawing._replace(error=0 * drawing.shown).missed(drawing.foreground, REAL) == 0
    none = torch.zeros_like(REAL)
    assert drawing.missed(drawing.foreground, none) == drawing.mean(none) == 0


def test_tokens_are_those_of_the_newest_frame_alone_in_any_precision() -> None:
    tokenizer, seen = tokenizer_of(), frames()
    with torch.no_grad():
        tokenizer.codebook.codes.copy_(
            tokenizer.drawing(seen, TASK).vectors.flatten(0, 2)[::3][:64]
        )
    tokens = tokenizer(seen, TASK)
    assert tokens.shape == (2, 3, 36)
    assert len(tokens.unique()) > 20
    older = seen.clone()
    older[:, :, :3] = 0
    assert torch.equal(tokenizer(older, TASK), tokens)
    assert torch.equal(tokenizer(seen[1:2, 2:], TASK[:1])[0, 0], tokens[1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tokenizer(seen, TASK), tokens)
