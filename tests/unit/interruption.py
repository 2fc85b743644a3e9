"""Trainings that are killed, for the tests of resuming."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.training import loop
from pipeline.training.resume import Resumption


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


def assert_resumes(
    trained: Callable[..., tuple[nn.Module, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """Twelve updates by `trained(updates, saved)`, killed after seven and continued, end as those
    that nothing interrupts; returns the learner and its curve.
    """
    whole, curve = trained(12)
    saved = Resumption(folder / "policy", "this one", every=2)
    with killed(monkeypatch, 7):
        trained(12, saved)
    resumed, again = trained(12, saved)
    assert again == curve
    assert_same_weights(whole, resumed)
    return whole, curve
