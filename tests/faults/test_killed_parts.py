"""Detection and encoding, whole or a shard, killed at any event, end with the same bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stage_jobs import Job, Trial

from pipeline.io import resumable

KILLS = 6


@pytest.mark.parametrize("shard", [None, "1-of-2"])
@pytest.mark.parametrize("name", ["detect_regions", "build_cache"])
def test_killed_at_events(
    jobs: dict[str, Job],
    name: str,
    shard: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every batch is a part of its own, and a kill undoes none."""
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)  # forks inherit it
    job = jobs[name]
    if shard:
        job = replace(job, options={**job.options, "shard": shard})
    trial = Trial.of(job, tmp_path)
    kept, most = 0, 0
    for event in np.random.default_rng(0).integers(1, trial.events + 1, KILLS).tolist():
        job.kill(trial.folder, event)
        if trial.found():  # it was whole before the kill
            assert trial.found() == trial.expected
            break
        kept, before = len(list(trial.folder.glob(".*.parts/*.h5"))), kept
        assert kept >= before, "a kill has undone what was saved"
        most = max(most, kept)
    assert most, "no kill came after the first part"
    trial.ends_alike()
