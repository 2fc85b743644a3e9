"""A stage that is killed at any moment leaves nothing half done, and ends with the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Job, Trial

KILLS = 20
LONG = (
    *("collect_trajectories", "render_frames", "shrink_frames", "detect_regions"),
    *("pretrain_encoder", "build_cache", "pretrain_language_model"),
    *("train_policy", "evaluate_policy"),
)


@pytest.mark.parametrize("name", LONG)
def test_killed_at_random_moments(jobs: dict[str, Job], name: str, tmp_path: Path) -> None:
    """Each attempt finds what those before it left, to go on with or to clear."""
    trial = Trial.of(jobs[name], tmp_path)
    moments = np.random.default_rng(0).uniform(0, trial.seconds, KILLS)
    killed = sum(trial.job.kill(trial.folder, float(moment)) for moment in moments)
    assert killed >= KILLS // 2  # most came in time to disturb
    for file, content in trial.found().items():
        assert content == trial.expected[file], f"{file} was there after a kill, but not whole"
    trial.ends_alike()
