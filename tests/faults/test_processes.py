"""The stage that trains a policy, in two processes as `torchrun` starts them."""

import os
import subprocess
import sys
from pathlib import Path

from stage_jobs import Job

from pipeline.provenance import record as records

ROOT = Path(__file__).parents[2]


def test_training_through_torchrun(jobs: dict[str, Job], tmp_path: Path) -> None:
    job = jobs["train_policy"]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    module = ["-m", job.stage.__module__, *job.words(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *module],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    record = records.read(tmp_path / "policy")
    assert (record.settings["processes"], record.settings["device"]) == (2, "cpu")
    alone = records.read(Path(job.options["trajectories"]).with_name("policy"))
    assert "processes" not in alone.settings
    names = {path.name for path in tmp_path.iterdir() if not path.name.endswith(records.SUFFIX)}
    assert names == {"policy", "checkpoints", "curve.csv"}
