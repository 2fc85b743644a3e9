"""Trainings that are killed, for the tests of resuming."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.training import loop


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """The training inside the block is killed after so many updates, as by Ctrl-C."""
    drawn, calls = loop.sample_ends, iter(range(10_000))

    def draw(*arguments: Any) -> Any:
        if next(calls) == after:
            raise KeyboardInterrupt
        return drawn(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "sample_ends", draw)
        with pytest.raises(KeyboardInterrupt):
            yield


def assert_same_weights(expected: nn.Module, found: nn.Module) -> None:
    """Bit for bit."""
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name]), name
