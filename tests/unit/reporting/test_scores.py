"""Runs' files → tidy scores, and one line for a file that is not what it should be."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import PipelineError
from pipeline.evaluation.episodes import Episode, write_episodes
from pipeline.reporting.scores import COLUMNS, Run, gather, read_scores

EPISODES = (
    "step,episode,reset_seed,noops,return,length,still_steps_longest,still_share,terminated\n"
    "9,0,10000,3,2.5,40,2,0.1,True\n"
)
DESCRIPTION = {
    "weights": "trained here",
    "data_source": "played",
    "sampling": "temperature 0.5",
    "versions": {"torch": "2.13.0", "ale-py": "0.12.1"},
    "data_mean": 3.0,
    "data_max": 5.0,
    "target_return": 5.0,
    "max_episode_steps": 100,
    "known_starts": [0, 7],
    "ended_as_recorded": [1],
    "still_limit": None,
    "serving": {},
    "settings": {"policy": {"width": 32}},
}


def run_files(folder: Path, episodes: str = EPISODES, **changes: object) -> tuple[Path, Path]:
    folder.mkdir()
    (folder / "episodes.csv").write_text(episodes)
    (folder / "run.json").write_text(json.dumps(DESCRIPTION | changes))
    return folder / "episodes.csv", folder / "run.json"


def gathered(*files: tuple[Path, Path]) -> pd.DataFrame:
    runs = [Run("catch", "more3s", "default", seed) for seed in range(len(files))]
    return gather(runs, [episodes for episodes, _ in files], [run for _, run in files])


def test_a_row_per_episode(tmp_path: Path) -> None:
    two = EPISODES + "9,1,10001,0,-1.0,7,0,0.0,False\n"
    scores = gathered(run_files(tmp_path / "0"), run_files(tmp_path / "1", two))
    assert tuple(scores.columns) == COLUMNS
    assert scores["seed"].tolist() == [0, 1, 1]
    assert scores["return"].tolist() == [2.5, 2.5, -1.0]
    assert set(scores["versions"]) == {"ale-py 0.12.1, torch 2.13.0"}


def test_names_that_look_like_numbers_and_large_scores_survive_the_files(tmp_path: Path) -> None:
    episodes, run = run_files(tmp_path / "0")
    write_episodes(episodes, [(0, Episode(10_000, 0, 1_234_567.0, 40, True))])
    scores = gather([Run("2048", "more3s", "1e3", 0)], [episodes], [run])
    scores.to_csv(tmp_path / "scores.csv", index=False)
    again = read_scores(tmp_path / "scores.csv")
    columns = ["dataset", "variant", "return"]
    assert again[columns].to_numpy().tolist() == [["2048", "1e3", 1_234_567.0]]


def test_scores_survive_the_file(tmp_path: Path) -> None:
    scores = gathered(run_files(tmp_path / "0", target_return=None, weights="none"))
    scores.to_csv(tmp_path / "scores.csv", index=False)
    again = read_scores(tmp_path / "scores.csv")
    assert again["weights"].tolist() == ["none"]
    assert again["target_return"].isna().all()
    assert again["return"].tolist() == scores["return"].tolist()


@pytest.mark.parametrize(
    ("episodes", "cause"),
    [
        (EPISODES.splitlines()[0] + "\n", "no episodes"),
        (EPISODES.replace("2.5", "nan"), "a return is not a number"),
        (EPISODES.replace("length", "steps"), "column 'length' is missing"),
        ("", "not a CSV file"),
    ],
)
def test_bad_episodes(tmp_path: Path, episodes: str, cause: str) -> None:
    with pytest.raises(PipelineError, match=f"episodes.csv: .*{cause}"):
        gathered(run_files(tmp_path / "0", episodes))


def test_bad_descriptions(tmp_path: Path) -> None:
    episodes, run = run_files(tmp_path / "0")
    run.write_text(json.dumps({"weights": "x"}))
    with pytest.raises(PipelineError, match=r"run\.json: key 'data_source' is missing"):
        gathered((episodes, run))
    run.write_text("{")
    with pytest.raises(PipelineError, match=r"run\.json: not valid JSON of a run"):
        gathered((episodes, run))
    run.unlink()
    with pytest.raises(PipelineError, match=r"run\.json: no such file"):
        gathered((episodes, run))


def test_counts_must_agree(tmp_path: Path) -> None:
    episodes, run = run_files(tmp_path / "0")
    with pytest.raises(PipelineError, match="1 runs, 2 episode files, 1 run files"):
        gather([Run("catch", "more3s", "default", 0)], [episodes, episodes], [run])


def test_earlier_checkpoints_are_told_from_the_last(tmp_path: Path) -> None:
    files = run_files(tmp_path / "0")
    (tmp_path / "checkpoints.csv").write_text(EPISODES.replace("9,0", "4,0").replace("2.5", "1.5"))
    run = Run("catch", "more3s", "default", 0)
    scores = gather([run], [files[0]], [files[1]], {run: tmp_path / "checkpoints.csv"})
    columns = scores[["checkpoint", "step", "return"]].to_numpy().tolist()
    assert columns == [["earlier", 4, 1.5], ["last", 9, 2.5]]
    assert set(scores["settings"]) == {'{"policy": {"width": 32}}'}
    (tmp_path / "checkpoints.csv").write_text(EPISODES.splitlines()[0] + "\n")  # none was kept
    assert len(gather([run], [files[0]], [files[1]], {run: tmp_path / "checkpoints.csv"})) == 1
