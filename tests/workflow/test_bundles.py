"""A bundle of the toy's policy, elsewhere and without Snakemake, plays what the workflow played."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from toy_project import snakemake

import more3s


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("more3s", "more3s/default/seed-0"),
        ("decision_transformer-default-seed-1", "decision_transformer/default/seed-1"),
    ],
)
def test_a_bundle_plays_what_was_evaluated(
    project: Path, warm: Mapping[str, str], tmp_path: Path, name: str, run: str
) -> None:
    target = f"results/bundles/catch/{name}"
    done = snakemake(project, target, "--configfile", "config/toy.yaml", warm=warm)
    assert done.returncode == 0, done.stdout
    agent = more3s.load(shutil.copytree(project / target, tmp_path / "elsewhere"))
    env = agent.make()
    evaluated = pd.read_csv(project / "results/runs/catch" / run / "episodes.csv")
    for episode in evaluated.itertuples():
        observation, info = env.reset(seed=episode.reset_seed)
        agent.reset(seed=episode.reset_seed)
        rewards, over = [0.0], False
        while not over:
            action = agent.act(observation, rewards[-1])
            observation, reward, ended, cut, _ = env.step(action)
            rewards, over = [*rewards, reward], ended or cut
        played = sum(rewards), len(rewards) - 1, info["noops"], ended
        assert played == (episode[5], episode.length, episode.noops, episode.terminated)
    card = (tmp_path / "elsewhere" / "README.md").read_text()
    assert f"| this policy | {evaluated['return'].mean():.1f} |" in card
