"""A stage that is killed at any moment leaves nothing half done, and ends with the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Job, contents

KILLS = 20
LONG = (
    *("collect_trajectories", "render_frames", "shrink_frames", "detect_regions"),
    *("pretrain_encoder", "build_cache", "pretrain_language_model"),
    *("train_policy", "evaluate_policy"),
)


@pytest.mark.parametrize("name", LONG)
def test_killed_at_random_moments(jobs: dict[str, Job], name: str, tmp_path: Path) -> None:
    """Each attempt finds what those before it left, to go on with or to clear."""
    job = jobs[name]
    names = list(job.outputs.values())
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    folder.mkdir()
    seconds = job.run(undisturbed)
    expected = contents(undisturbed, names)
    assert expected
    moments = np.random.default_rng(0).uniform(0, seconds, KILLS)
    killed = sum(job.kill(folder, float(moment)) for moment in moments)
    assert killed >= KILLS // 2  # most came in time to disturb
    for file, content in contents(folder, names).items():
        assert content == expected[file], f"{file} was there after a kill, but not whole"
    job.run(folder)
    assert contents(folder, names) == expected
    left = {path.name for path in folder.iterdir()} - {path.name for path in undisturbed.iterdir()}
    assert not left, "what a kill left was not cleared"
