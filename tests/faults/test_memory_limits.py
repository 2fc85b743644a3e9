"""Memory that ends: one line that names the stage and what to lower, and what was saved stays."""

import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stage_jobs import Job, Trial, contents

from pipeline.stages import LEAST_TO_COMPUTE

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="no /proc: the limit is chosen from what is used"
)
ROOT = Path(__file__).parents[2]
ROOM = LEAST_TO_COMPUTE + (64 << 20)
"""Bytes beyond those at the start: enough to begin with."""
TOO_LARGE = {
    "pretrain_encoder": ("features", "encoder.pretraining_batch", 16384),
    "pretrain_language_model": ("language_model", "tokens_per_batch", 1_000_000),
    "train_policy": ("method", "training.batch_size", 16384),
}
COMPUTING = (*TOO_LARGE, "build_cache", "detect_regions", "evaluate_policy")


def changed(job: Job, section: str, key: str, value: object) -> Job:
    """The job with another value of one of its settings."""
    whole: dict[str, Any] = json.loads(job.options[section])
    place, (*outer, last) = whole, key.split(".")
    for name in outer:
        place = place[name]
    place[last] = value
    return replace(job, options={**job.options, section: json.dumps(whole)})


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_batch_that_does_not_fit(jobs: dict[str, Job], name: str, tmp_path: Path) -> None:
    section, key, value = TOO_LARGE[name]
    job = changed(jobs[name], section, key, value)
    said = job.refused(tmp_path, tmp_path / "log", memory=ROOM)
    assert said.startswith(f"{name}: ")
    assert "memory has ended" in said
    assert f"lower {key}" in said
    assert "it is limited to" in said
    whole = contents(tmp_path, [name for name in job.outputs.values() if name != "tokenizer.json"])
    assert not whole


@pytest.mark.parametrize("name", COMPUTING)
def test_no_memory_to_begin_with(jobs: dict[str, Job], name: str, tmp_path: Path) -> None:
    said = jobs[name].refused(tmp_path, tmp_path / "log", memory=LEAST_TO_COMPUTE // 2)
    assert said.startswith(f"{name}: memory has ended: less than 256 MB are left")


def test_a_saved_training_goes_on(jobs: dict[str, Job], tmp_path: Path) -> None:
    """Killed after a save, then without memory for its batch, then with, and with less for data."""
    job = changed(jobs["train_policy"], "method", "training.batch_size", 16384)
    for key in ("steps", "evaluate_every", "checkpoint_every", "warmup_steps"):
        job = changed(job, "method", f"training.{key}", 3 if key == "steps" else 1)
    trial = Trial.of(job, tmp_path)
    saved = trial.folder / ".policy.resume"
    event = trial.events // 3  # before the first save
    while not saved.exists():
        event += 1
        assert job.kill(trial.folder, event)
    kept = saved.read_bytes()
    said = job.refused(trial.folder, tmp_path / "log", memory=ROOM)
    assert said.startswith("train_policy: ")
    assert "damaged" not in (tmp_path / "log").read_text()
    assert saved.read_bytes() == kept
    less = replace(job, options={**job.options, "cache_memory_mb": "16"})
    replace(trial, job=less).ends_alike()


def test_libraries_that_cannot_be_loaded() -> None:
    """Half of what a stage has when its libraries are loaded is not enough for them."""
    source = (
        "import pipeline.stages.train_policy, resource; from pathlib import Path;"
        "pages = Path('/proc/self/statm').read_text().split()[0];"
        "print(int(pages) * resource.getpagesize())"
    )
    half = int(subprocess.run([sys.executable, "-c", source], stdout=-1, check=True).stdout) // 2
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.stages.train_policy", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (half, half)),
    )
    assert done.returncode == 1
    line, *more = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    assert not more
    assert line.startswith("error: train_policy: memory has ended (")
    assert f"it is limited to {half >> 20:,} MB (ulimit -v)" in line
    assert "Traceback" not in done.stderr
