"""The demo ends with its scores and with where to look."""

import json
from pathlib import Path

import pytest
from command_line import words

from pipeline.evaluation.episodes import Episode, write_episodes
from pipeline.stages import execute
from pipeline.stages.demo import demo

RUNS = [{"dataset": "catch", "method": "more3s", "variant": "default", "seed": 4}]


def test_it_says_how_the_policy_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    episodes, run = tmp_path / "episodes.csv", tmp_path / "run.json"
    played = [Episode(9, 0, 2.0, 8, True), Episode(9, 7, 5.0, 8, True)]
    write_episodes(episodes, [(1, episode) for episode in played])
    run.write_text(json.dumps({"data_mean": 1.25, "known_starts": [7], "ended_as_recorded": [0]}))
    files = {"episodes": episodes, "run": run, "video": "a.mp4", "regions": "b.png"}

    execute(demo, words(runs=json.dumps(RUNS), **files))
    head, starts, *paths = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("MORE-3S on catch, seed 4: 3.5 points, the mean of 2 episodes (2 to 5)")
    assert head.endswith("recorded ones have 1.25 on average")
    assert starts == "1 of them begin as a recorded one did, and 1 end as one"
    assert [path.split()[-1] for path in paths] == [str(episodes), "a.mp4", "b.png"]
