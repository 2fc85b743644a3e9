"""What a killed training goes on from: a bit that flips anywhere in it is seen."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import PipelineError
from pipeline.training.resume import Resumption

STEPS = 6
FLIPS = 60


class Killed(Exception):
    pass


def train(saved: Resumption, killed_at: int | None = None) -> tuple[list[torch.Tensor], list[int]]:
    """A few steps on noise, as the loop takes them; the weights, and which steps were taken."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    progress = saved.load(model, {"model": optimizer})
    taken = []
    for step in range(progress["step"] if progress else 0, STEPS):
        if step == killed_at:
            raise Killed
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
        taken.append(step)
        saved.save(model, {"model": optimizer}, {"step": step + 1, "losses": [0.1 * step]})
    return list(model.parameters()), taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved training that was killed before its last steps."""
    with pytest.raises(Killed):
        train(Resumption(tmp_path / "policy", "this one"), killed_at=4)
    return tmp_path / ".policy.resume"


def flips(path: Path) -> Iterator[tuple[int, bytes]]:
    """Half of them in the header, which holds progress, identity, names, types and shapes."""
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    for attempt in range(FLIPS):
        first, last = (0, header) if attempt % 2 else (header, len(whole))
        place = int(generator.integers(first, last))
        changed = bytearray(whole)
        changed[place] ^= 1 << int(generator.integers(8))
        yield place, bytes(changed)


def test_no_flipped_bit_changes_or_blocks_a_training(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    undisturbed, _ = train(Resumption(tmp_path / "undisturbed", "this one"))
    saved = Resumption(tmp_path / "policy", "this one")
    for place, changed in flips(path):
        path.write_bytes(changed)
        assert not saved.waiting
        weights, taken = train(saved)
        assert taken == list(range(STEPS)), place  # from the beginning
        for ours, theirs in zip(weights, undisturbed, strict=True):
            assert torch.equal(ours, theirs), place
        said = capfd.readouterr().err.splitlines()
        assert len(said) == 1, place
        assert said[0].startswith(f"{path}: damaged (")
        assert said[0].endswith("; training starts again")


def test_every_byte_of_the_description(path: Path, tmp_path: Path) -> None:
    """None is taken for whole, and none ends in another error."""
    whole = path.read_bytes()
    saved = Resumption(tmp_path / "policy", "this one")
    for place in range(8 + int.from_bytes(whole[:8], "little")):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert not saved.waiting, place


def test_a_whole_one_is_gone_on_with(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    undisturbed, _ = train(Resumption(tmp_path / "undisturbed", "this one"))
    weights, taken = train(Resumption(tmp_path / "policy", "this one"))
    assert taken == [4, 5]
    assert all(map(torch.equal, weights, undisturbed))
    assert not Resumption(tmp_path / "policy", "another").waiting  # of other settings, not damaged
    assert train(Resumption(tmp_path / "policy", "another"))[1] == list(range(STEPS))
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_one_that_may_not_be_read_is_not_damaged(path: Path) -> None:
    """Else it would be overwritten: hours of work."""
    model = nn.Linear(1, 1)
    saved = Resumption(path.with_name("policy"), "this one")
    path.chmod(0)
    os.seteuid(65534)
    try:
        with pytest.raises(PipelineError, match=r"cannot be read: Permission denied.*let it be"):
            saved.load(model, {"model": torch.optim.SGD(model.parameters())})
    finally:
        os.seteuid(0)
