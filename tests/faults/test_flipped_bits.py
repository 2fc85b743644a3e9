"""One bit of an artefact flips, its time does not: found before it is used, and named."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from stage_jobs import Job

from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.provenance import record

READ_BY = {
    "trajectories.h5": ("render_frames", "actions"),
    "frames.h5": ("shrink_frames", "frames"),
    "regions.h5": ("pretrain_encoder", "features"),
    "prompts.json": ("build_cache", ""),
    "encoder/model.safetensors": ("build_cache", ""),
    "encoder/config.json": ("evaluate_policy", ""),
    "cache.h5": ("train_policy", "tokens"),
    "policy": ("evaluate_policy", ""),
}
"""Artefact → a stage that reads it, and for HDF5 the array whose block is hit."""


@contextmanager
def flipped(path: Path, place: int, bit: int = 0) -> Iterator[None]:
    """Flip a bit, and put it back; the file's time stays."""
    before, times = path.read_bytes(), path.stat()
    changed = bytearray(before)
    changed[place] ^= 1 << bit
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def place_in(path: Path, array: str) -> int:
    """Somewhere in the middle of a file, or of a block of an array."""
    if not array:
        return path.stat().st_size // 2
    with h5py.File(path) as file:
        block = file[f"arrays/{array}"].id.get_chunk_info(0)
    return int(block.byte_offset + block.size // 2)


@pytest.mark.parametrize("name", READ_BY)
def test_a_stage_refuses_it(jobs: dict[str, Job], made: Path, name: str, tmp_path: Path) -> None:
    stage, array = READ_BY[name]
    job, outputs = jobs[stage], tmp_path / "outputs"
    outputs.mkdir()
    with flipped(made / name, place_in(made / name, array)):
        said = job.refused(outputs, tmp_path / "log")
    artefact = name.partition("/")[0]
    assert said.startswith(f"{made / artefact}: damaged")
    assert "delete it and run" in said or "make it again: snakemake --force" in said
    left = {path.name for path in outputs.iterdir()}
    assert not left & set(job.outputs.values())


def test_a_stage_refuses_a_swapped_cache(jobs: dict[str, Job], made: Path, tmp_path: Path) -> None:
    """Whole, of the same kind and shapes, of other prompts; the file's time is the right one's."""
    job, outputs = jobs["train_policy"], tmp_path / "outputs"
    outputs.mkdir()
    cache, other = made / "cache.h5", made / "other.h5"
    ours = Artefact(cache, "cache")
    with ArtefactWriter(other, "cache", {**ours.attributes, "features": "other prompts"}) as writer:
        for name in ours.names:
            writer.write(name, ours.read(name))
    ours.close()
    record.write(record.Job("pipeline.stages.build_cache", {}, [], [other]), datetime.now(UTC))
    whole, times = cache.read_bytes(), cache.stat()
    cache.write_bytes(other.read_bytes())
    os.utime(cache, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        said = job.refused(outputs, tmp_path / "log")
    finally:
        cache.write_bytes(whole)
        os.utime(cache, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.unlink()
        record.sidecar(other).unlink()
    assert said.startswith(f"{cache}: holds what {other} holds, not what build_cache wrote here")
    assert "make it again: snakemake --force" in said
    assert list(outputs.iterdir()) == []


def test_every_kind_of_artefact(jobs: dict[str, Job], made: Path) -> None:
    """CSV, JSON, video, tokenizer, weights, and HDF5 of every kind; folders with all files."""
    generator = np.random.default_rng(0)
    names = [name for job in jobs.values() for name in job.outputs.values()]
    files = [
        file
        for name in names
        for file in ([made / name] if (made / name).is_file() else sorted((made / name).iterdir()))
    ]
    assert len(files) >= 20
    tried = 0
    for file in files:
        artefact = file if file.parent == made else file.parent
        whole = arrays(file)
        for _ in range(5 if whole else 2):
            place = int(generator.integers(file.stat().st_size))
            with flipped(file, place, int(generator.integers(8))):
                found = noticed(file, artefact)
                assert found or whole, f"{file}: a flipped bit at {place} was not noticed"
                if not found:  # what is not noticed is not read
                    same = (np.array_equal(a, whole[n]) for n, a in arrays(file).items())
                    assert all(same), (file, place)
            tried += 1
    assert tried >= 50


def noticed(file: Path, artefact: Path) -> bool:
    """Whether a stage that is given the artefact refuses it, or would when it reads it all."""
    try:
        record.verify(artefact)
        arrays(file)
    except PipelineError as error:
        return str(artefact) in str(error)
    return False


def arrays(file: Path) -> dict[str, np.ndarray]:
    """What an HDF5 artefact holds; nothing of another file."""
    if file.suffix != ".h5":
        return {}
    artefact = Artefact(file, None)
    try:
        return {name: artefact.read(name) for name in artefact.names}
    finally:
        artefact.close()
