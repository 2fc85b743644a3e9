"""How libraries say that memory has ended, and what is not taken for it."""

import errno
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import PipelineError
from pipeline.io import memory
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.io.reading import NoMemory
from pipeline.stages import _failure
from pipeline.training.resume import Resumption

TORCH = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
ENDED = (
    MemoryError(),
    MemoryError("Unable to allocate 8. GiB for an array"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError(TORCH),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("can't start new thread"),
    RuntimeError("std::bad_alloc"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
)
OTHERS = (
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("out of memory"),
)


@pytest.mark.parametrize("error", ENDED, ids=str)
def test_memory_has_ended(error: Exception) -> None:
    assert memory.ended(error)
    wrapped = ValueError("in a library")
    wrapped.__cause__ = error
    assert memory.ended(wrapped)
    assert memory.cause(wrapped) == (str(error) or type(error).__name__)


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_it_has_not(error: Exception) -> None:
    assert not memory.ended(error)


def test_what_cannot_be_had() -> None:
    assert not memory.is_short()
    assert memory.is_short(1 << 62)
    memory.check(1)
    with pytest.raises(MemoryError, match=r"4,611,686,018,427,387,904 bytes cannot be had"):
        memory.check(1 << 62)
    with pytest.raises(PipelineError, match=r"^train: memory has ended: .*; give it more memory"):
        memory.require(1 << 62, "train")


def test_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _failure.stop(RuntimeError(TORCH), "train_policy", ["batch_size", "cache"])
    assert ended.value.code == 1
    said = f"error: train_policy: memory has ended ({TORCH}); lower batch_size or cache, or give"
    assert capsys.readouterr().err.startswith(said)
    with pytest.raises(SystemExit):
        _failure.stop(NoMemory("a.h5: cannot be read: more memory"), "train_policy", ["batch_size"])
    assert (
        capsys.readouterr().err
        == "error: train_policy: a.h5: cannot be read: more memory, or lower batch_size\n"
    )
    with pytest.raises(ZeroDivisionError):
        _failure.stop(ZeroDivisionError(), "train_policy", [])


def test_an_artefact_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec without memory says that a filter has failed, and nothing of memory."""
    path = tmp_path / "a.h5"
    with ArtefactWriter(path, "a", {}) as writer:
        writer.create("a", (2,), np.dtype(np.float32))
        writer.append("a", np.zeros((4, 2), np.float32))

    def fails(*_: object) -> None:
        raise OSError("Can't synchronously read data (filter returned failure during read)")

    monkeypatch.setattr(h5py.Dataset, "read_direct", fails)
    with pytest.raises(PipelineError, match="damaged block"):
        Artefact(path, "a").read("a")
    monkeypatch.setattr(memory, "is_short", lambda needed=0: needed == 0)
    with pytest.raises(NoMemory, match=r"a\.h5: cannot be read: memory has ended .*not be damaged"):
        Artefact(path, "a").read("a")


def test_a_saved_training_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".policy.resume"
    save_file({"a": torch.zeros(4)}, path, {})
    saved = Resumption(tmp_path / "policy", "identity")

    def fails(*_: object) -> None:
        raise RuntimeError(TORCH)

    monkeypatch.setattr("pipeline.training.resume._digest", fails)
    with pytest.raises(NoMemory):
        saved.load(torch.nn.Linear(1, 1), {})
    with pytest.raises(NoMemory):
        _ = saved.waiting
