"""A stage that is killed at any event leaves nothing half done, and ends with the same bytes.

Events are counted, not timed: on every machine, however busy, the same points are hit.
"""

from pathlib import Path

import numpy as np
import pytest
from stage_jobs import Job, Trial

from pipeline.io import resumable

KILLS = 20
LONG = (
    *("collect_trajectories", "render_frames", "shrink_frames", "detect_regions"),
    *("pretrain_encoder", "build_cache", "pretrain_language_model"),
    *("train_policy", "evaluate_policy"),
)


@pytest.mark.parametrize("name", LONG)
def test_killed_at_events(
    jobs: dict[str, Job], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt finds what those before it left, to go on with or to clear."""
    monkeypatch.setattr(resumable, "SAVE_SECONDS", float("inf"))
    trial = Trial.of(jobs[name], tmp_path)
    assert trial.events > KILLS
    chosen = np.random.default_rng(0).integers(1, trial.events + 1, KILLS).tolist()
    killed = sum(trial.job.kill(trial.folder, event) for event in chosen)
    assert killed >= KILLS // 2  # who goes on where the last one was killed has fewer events left
    for file, content in trial.found().items():
        assert content == trial.expected[file], f"{file} was there after a kill, but not whole"
    trial.ends_alike()
