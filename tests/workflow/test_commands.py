"""What the rules tell their stages, of every rule there is, without running one; and people."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.stages._signature import parser_of

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
BESIDE = (
    *("results/published/lxmert_base", "results/published_layers/gpt2_6.safetensors"),
    *("results/downloads/pong_minari", "results/minari/catch-v0", "plan"),
    *("results/bundles/catch/more3s", "results/runs/catch/more3s/default/seed-0/decisions.csv"),
    "results/planning_cost.csv",
    "results/runs/four_games/multi_task_bc/default/seed-0/on/pong/episodes.csv",
    *(
        "results/runs/hopper_medium/tap/default/seed-0/prediction.csv",
        "results/horizon_accuracy.csv",
    ),
)
"""Targets of rules that the toy workflow does not need."""
SIZES = "tables={sizes: {datasets: [catch], methods: [more3s], seeds: [0], by_size: true}}"
"""A table with a picture that none of the toy workflow's has."""
TARGETS = {"all"}
"""Rules that do nothing themselves."""


def snakemake(*arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--configfile", "config/toy.yaml", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    """Rule → what `snakemake --list` says of it."""
    lines = snakemake("--list").splitlines()
    found = [re.fullmatch(r"(\w+)(?: \((.+)\))?", line) for line in lines]
    return {rule[1]: rule[2] or "" for rule in found if rule}


def test_every_rule_says_what_it_makes(listed: dict[str, str]) -> None:
    assert len(listed) > 35
    for rule, text in listed.items():
        assert re.fullmatch(r"[A-Z].{20,}\.", text), f"{rule}: {text}"
    assert len(set(listed.values())) == len(listed)


def test_every_stage_understands_its_rule(listed: dict[str, str]) -> None:
    """Required options are there, and none that it does not know."""
    sharded = ("--dry-run", "--printshellcmds", "--forceall", "--set-scatter", "shards=2")
    targets = ("all", "demo", "results/sizes.png", *BESIDE)
    text = snakemake(*sharded, "--config", SIZES, "--", *targets)
    job = r"^(?:local)?rule (\w+):\n(?:    .*\n)+Shell command: (.+)"
    jobs = [found for found in re.findall(job, text, re.MULTILINE) if found[0] not in TARGETS]
    assert {rule for rule, _ in jobs} == listed.keys() - TARGETS
    for rule, line in jobs:
        words = shlex.split(re.split(r" (?:>|2>&1) ", line)[0])
        assert words[:2] == ["python", "-m"], line
        name = words[2].removeprefix("pipeline.stages.")
        stage = getattr(import_module(words[2]), name)
        told = vars(parser_of(stage).parse_args(words[3:]))
        assert told["threads"] == 1, rule


def test_plays_of_one_training_train_it_once() -> None:
    """Variants that differ in how they plan only are played with the default's weights."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2"]
    run = "results/runs/hopper_medium_expert/diffuser/{}/seed-0/episodes.csv"
    variants = ("default", "sampled", "greedy", "no_warm_start", "warm_start_1")
    command += ["results/warm_start.csv", *(run.format(variant) for variant in variants)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert counts["train_policy"] == "3"  # one of each seed
    assert counts["evaluate_policy"] == "17"
