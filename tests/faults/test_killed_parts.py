"""Detection and encoding, whole or a shard, killed at random moments, end with the same bytes."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Job, Trial

from pipeline.io import resumable
from pipeline.io.resumable import PartsWriter, Rows

KILLS = 6
BATCH_SECONDS = 0.15
"""A batch of the toy data takes no time; so long ones, for kills to fall into."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is long, and a part of its own; forks inherit it."""
    add = PartsWriter._add

    def slowly(self: PartsWriter, batch: int, rows: Rows, stop: int) -> None:
        time.sleep(BATCH_SECONDS)
        add(self, batch, rows, stop)

    monkeypatch.setattr(PartsWriter, "_add", slowly)
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)


@pytest.mark.parametrize("shard", [None, "1-of-2"])
@pytest.mark.parametrize("name", ["detect_regions", "build_cache"])
@pytest.mark.usefixtures("slow")
def test_killed_at_random_moments(
    jobs: dict[str, Job], name: str, shard: str | None, tmp_path: Path
) -> None:
    job = jobs[name]
    if shard:
        job = replace(job, options={**job.options, "shard": shard})
    trial = Trial.of(job, tmp_path)
    kept, most = 0, 0
    for moment in np.random.default_rng(0).uniform(0, trial.seconds, KILLS):
        job.kill(trial.folder, float(moment))
        if trial.found():  # it was whole before the kill
            assert trial.found() == trial.expected
            break
        kept, before = len(list(trial.folder.glob(".*.parts/*.h5"))), kept
        assert kept >= before, "a kill has undone what was saved"
        most = max(most, kept)
    assert most, "no kill came after the first part"
    trial.ends_alike()
