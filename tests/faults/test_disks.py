"""Disks that take no more: one line says so, and nothing half written has an artefact's name."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stage_jobs import Job, contents

from pipeline.provenance import record
from pipeline.stages._signature import parser_of

WRITING = (
    *("collect_trajectories", "render_frames", "shrink_frames", "detect_regions"),
    *("pretrain_encoder", "build_cache", "pretrain_language_model", "train_policy"),
    *("evaluate_policy", "gather_scores", "plot_perplexity"),
)
ON_A_REAL_ONE = ("render_frames", "pretrain_encoder", "train_policy", "evaluate_policy")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk in memory of its own."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


ROOT = Path(__file__).parents[2]


def undisturbed(job: Job, made: Path) -> tuple[dict[str, bytes], int]:
    """The outputs as they should be, and how large the largest is."""
    expected = contents(made, list(job.outputs.values()))
    return expected, max(map(len, expected.values()))


def whole_or_not_at_all(job: Job, folder: Path, expected: dict[str, bytes]) -> None:
    for name, content in contents(folder, list(job.outputs.values())).items():
        assert content == expected[name], f"{name} is there, but not whole"
    left = {path.name for path in folder.iterdir()} - set(job.outputs.values())
    kept = {name for name in left if name.endswith(record.SUFFIX)}
    options = parser_of(job.stage).format_help()
    if "--save-every" in options:  # goes on with these
        kept |= {f".{name}.resume" for name in job.outputs.values()}
        kept |= {f".partial.{name}" for name in job.outputs.values()}
    if "--shards" in options:  # and with these
        kept |= {f".{name}.parts" for name in job.outputs.values()}
    assert left <= kept, "what could not be written was not cleared"


@pytest.mark.parametrize("name", WRITING)
def test_a_file_may_not_grow(jobs: dict[str, Job], made: Path, name: str, tmp_path: Path) -> None:
    job = jobs[name]
    expected, largest = undisturbed(job, made)
    folder = tmp_path / "outputs"
    folder.mkdir()
    said = job.refused(folder, tmp_path / "log", file_size=largest // 2)
    assert str(folder) in said
    assert "cannot be written: File too large" in said
    whole_or_not_at_all(job, folder, expected)


@pytest.mark.parametrize("name", ["collect_trajectories", "render_frames"])
def test_the_process_ends_with_an_ordinary_code(
    jobs: dict[str, Job], made: Path, name: str, tmp_path: Path
) -> None:
    """Not by a signal: libraries write once more when a process ends."""
    job = jobs[name]
    _, largest = undisturbed(job, made)
    for share in (10, 2):
        limit = largest // share

        def limited(limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        folder = tmp_path / str(share)
        folder.mkdir()
        # -B: of a module Python would keep what it could write, and read no more than that later.
        command = [sys.executable, "-B", "-m", job.stage.__module__, *job.words(folder)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, preexec_fn=limited)
        assert done.returncode == 1, done.stderr
        assert "cannot be written: File too large" in done.stderr
        assert list(folder.iterdir()) == []


@needs_root
@pytest.mark.parametrize("name", ON_A_REAL_ONE)
def test_a_full_disk(jobs: dict[str, Job], made: Path, name: str, tmp_path: Path) -> None:
    job = jobs[name]
    expected, largest = undisturbed(job, made)
    with mounted(tmp_path / "disk", f"size={max(4096, largest // 2)}") as folder:
        said = job.refused(folder, tmp_path / "log")
        assert str(folder) in said
        assert "cannot be written: No space left on device; make room" in said
        whole_or_not_at_all(job, folder, expected)


@needs_root
@pytest.mark.parametrize("name", ["write_prompts", "render_frames", "pretrain_encoder"])
def test_a_read_only_folder(jobs: dict[str, Job], name: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m,ro") as folder:
        said = jobs[name].refused(folder, tmp_path / "log")
        assert str(folder) in said
        assert "cannot be written: Read-only file system" in said
