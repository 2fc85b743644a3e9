"""What jobs ask for, and are told, where there are graphics cards."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
TARGET = "results/runs/catch/more3s/default/seed-0/episodes.csv"
ON_A_CARD = {"detect_regions", "pretrain_encoder", "build_cache", "train_policy", "evaluate_policy"}


def test_jobs_ask_for_cards_and_start_their_processes() -> None:
    hardware = "hardware={device: cuda, processes: 2, save_every: 7}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", "--printshellcmds"),
            *("--forceall", "--configfile", "config/toy.yaml", "--config", hardware, "--", TARGET),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    jobs = dict(re.findall(r"^rule (\w+):\n((?:.+\n)+)", done.stdout, flags=re.MULTILINE))
    asked = {
        name: int(gpu[1])
        for name, block in jobs.items()
        if (gpu := re.search(r"^    resources: .*\bgpu=(\d)", block, flags=re.MULTILINE))
    }
    assert asked == {**dict.fromkeys(ON_A_CARD, 1), "train_policy": 2}
    for name, block in jobs.items():
        assert ("--device cuda" in block) == (name in ON_A_CARD), name
    start = "torchrun --standalone --nproc-per-node 2 -m pipeline.stages.train_policy --threads 1"
    assert start in jobs["train_policy"]
    assert "--device cuda --save-every 7" in jobs["train_policy"]
    assert "python -m pipeline.stages.evaluate_policy" in jobs["evaluate_policy"]
