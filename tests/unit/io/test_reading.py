"""What a system refuses is not called damage, and damage is not called refused."""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.config.schema import MethodConfig
from pipeline.data.sources import _gzip_array, _hdf5, _npz
from pipeline.errors import PipelineError
from pipeline.features.prompts import Prompts
from pipeline.io import csv, resumable
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.io.reading import Refused, refusal
from pipeline.io.resumable import PartsWriter, Rows
from pipeline.language import pretraining
from pipeline.pretrained import weights
from pipeline.provenance import checksum
from pipeline.provenance import record as records
from pipeline.training import checkpoint


def foreign(path: Path) -> None:
    with _hdf5.opened(path) as file:
        file["a"][:]


def language_model(path: Path) -> None:
    pretraining._read(path)


METHOD = MethodConfig(method="more3s")
READERS: dict[str, Callable[[Path], object]] = {
    "artefact.h5": lambda path: Artefact(path, None).read("a"),
    "foreign.h5": foreign,
    "recording.npz": lambda path: _npz.read(path, []),
    "array.gz": _gzip_array.GzipArray,
    "prompts.json": Prompts.read,
    "scores.csv": lambda path: csv.read_csv(path, [], ""),
    "policy.safetensors": lambda path: checkpoint.load(path, METHOD),
    "language_model.safetensors": language_model,
    "weights.safetensors": weights.read,
    "weights.pth": weights.read,
    "a.provenance.json": lambda path: records.read(
        path.with_name(path.name.removesuffix(records.SUFFIX))
    ),
    "anything": checksum.measure,
}


@pytest.fixture
def nobody() -> Iterator[None]:
    """Permissions do not bind root, as whom tests may run."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.mark.parametrize("name", READERS)
def test_a_forbidden_file_is_not_damaged(name: str, tmp_path: Path, nobody: None) -> None:
    folder = Path("/dev/shm") if os.getuid() == 0 and Path("/dev/shm").is_dir() else tmp_path
    path = folder / f"{os.getpid()}-{name}"
    path.write_bytes(b"x")
    path.chmod(0)
    try:
        with pytest.raises(Refused) as caught:
            READERS[name](path)
    finally:
        path.unlink()
    said = str(caught.value)
    assert said.startswith(f"{path}: cannot be read: Permission denied")
    assert said.endswith("let it be read")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with ArtefactWriter(tmp_path / "a.h5", "test", {}) as writer:
        writer.write("a", np.arange(5))
    return tmp_path / "a.h5"


def test_a_lock_that_another_holds(path: Path) -> None:
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Refused) as caught:
            Artefact(path, None).read("a")
        with pytest.raises(Refused):
            checksum.measure(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: cannot be read: a lock was refused")
    assert "wait for the process that writes it" in said
    assert "HDF5_USE_FILE_LOCKING=FALSE" in said
    np.testing.assert_array_equal(Artefact(path, None).read("a"), np.arange(5))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        words = f"unable to lock file, errno = {number}, error message = '{os.strerror(number)}'"
        raise OSError(f"Unable to synchronously open file ({words})")

    monkeypatch.setattr(h5py, "File", refused)
    for read in (lambda path: Artefact(path, None).damaged_blocks(), foreign):
        with pytest.raises(Refused) as caught:
            read(path)
        said = str(caught.value)
        assert os.strerror(number) in said
        assert said.endswith("no locks: set HDF5_USE_FILE_LOCKING=FALSE in the environment")


def test_a_disk_that_fails_in_the_middle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = Artefact(path, None)
    assert artefact.names == ["a"]

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, f"Can't read data (file read failed: errno = {errno.EIO}, …)")

    monkeypatch.setattr(h5py.Dataset, "read_direct", fails)
    for read in (artefact.damaged_blocks, lambda: artefact.read("a")):
        with pytest.raises(Refused, match=r"Input/output error.*look after the disk"):
            read()


def test_a_part_that_is_locked_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be hours of work."""
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)

    def attempt(fails_at: int | None) -> None:
        def rows(batch: int) -> Rows:
            if batch == fails_at:
                raise InterruptedError
            return Rows({"a": np.arange(3)})

        with PartsWriter(tmp_path / "x.h5", "test", {}, "same") as writer:
            writer.run({"a": ((), np.int64)}, 4, lambda batch: batch, rows, lambda r: r, "test")

    with pytest.raises(InterruptedError):
        attempt(2)
    parts = sorted((tmp_path / ".x.h5.parts").glob("*.h5"))
    assert len(parts) == 2
    with parts[0].open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="a lock was refused"):
            attempt(None)
    assert sorted((tmp_path / ".x.h5.parts").glob("*.h5")) == parts
    attempt(None)
    assert Artefact(tmp_path / "x.h5", "test").shape("a") == (12,)


def test_damage_is_still_damage(tmp_path: Path, path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "whole", {"description": json.dumps({})})
    for name, read in READERS.items():
        if name in ("anything", "scores.csv"):
            continue
        broken = tmp_path / name
        broken.write_bytes(b"\x93NUMPY, cut short")
        with pytest.raises(PipelineError) as caught:
            read(broken)
        assert not isinstance(caught.value, Refused), name
        assert "cannot be read" not in str(caught.value), name
    for error in (OSError("truncated file: eof = 5000"), OSError(errno.EINVAL, "seek")):
        assert refusal(path, error) is None
