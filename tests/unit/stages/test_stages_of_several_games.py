"""Two Atari games with other actions, from their recordings to a table: one policy plays both."""

import json
from pathlib import Path

import pandas as pd
import pytest
from command_line import words

from pipeline.config.experiment import Config
from pipeline.config.load import load
from pipeline.config.runs import runs_of
from pipeline.config.schema import TableConfig
from pipeline.stages import execute
from pipeline.stages._signature import Stage
from pipeline.stages.collect_trajectories import collect_trajectories
from pipeline.stages.evaluate_policy import evaluate_policy
from pipeline.stages.evaluate_random import evaluate_random
from pipeline.stages.gather_scores import gather_scores
from pipeline.stages.list_runs import list_runs
from pipeline.stages.plot_training_curves import plot_training_curves
from pipeline.stages.render_frames import render_frames
from pipeline.stages.shrink_frames import shrink_frames
from pipeline.stages.tabulate import tabulate
from pipeline.stages.train_policy import train_policy

ROOT = Path(__file__).parents[3]
GAMES = ["breakout", "pong"]
SMALL = {"width": 16, "layers": 1, "context_length": 2}
TRAINING = {"steps": 4, "batch_size": 4, "evaluate_every": 2, "held_out_fraction": 0.4}
TABLE = {"datasets": ["two"], "methods": ["multi_task_bc"], "seeds": [0]}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The default configuration, with a data set of two games and a table of it."""
    folder = tmp_path_factory.mktemp("configuration") / "config"
    folder.mkdir()
    for part in (ROOT / "config").iterdir():
        if part.name not in ("datasets", "tables"):
            (folder / part.name).symlink_to(part)
    for name in ("datasets", "tables"):
        (folder / name).mkdir()
        for file in (ROOT / "config" / name).iterdir():
            (folder / name / file.name).symlink_to(file)
    (folder / "datasets" / "two.yaml").write_text(f"together: [{', '.join(GAMES)}]")
    small = {"policy": SMALL, "training": TRAINING, "evaluation": {"episodes": 2}}
    small["where"] = {"dataset": "two"}
    tables = {"tables": {"two": TABLE}, "settings": [small]}
    return load(folder / "config.yaml", tables)


def test_one_policy_plays_both_games_and_a_table_tells_of_each(
    config: Config, tmp_path: Path
) -> None:
    def run(stage: Stage, **options: object) -> None:
        execute(stage, words(**options))

    def path(name: str) -> Path:
        return tmp_path / name

    method = config.method("multi_task_bc", dataset="two")
    for game in GAMES:
        limits = {"max_episodes": 3, "max_episode_steps": 12}
        dataset = config.datasets[game].model_copy(update=limits).as_json()
        told = {"environment": config.environment(game).as_json(), "dataset": dataset}
        told["resources"] = str(ROOT / "resources")
        data = path(f"{game}.h5")
        run(collect_trajectories, **told, trajectories=data)
        run(render_frames, **told, trajectories=data, frames=path(f"{game}.frames"))
        run(shrink_frames, frames=path(f"{game}.frames"), pixels=path(f"{game}.pixels"))
        told.pop("resources")
        run(
            evaluate_random,
            **told,
            evaluation=method.evaluation.as_json(),
            seed=0,
            trajectories=data,
            episodes=path(f"{game}.random.csv"),
            run=path(f"{game}.random.json"),
        )
    run(
        train_policy,
        method=method.trained().as_json(),
        environment=[config.environment(game).as_json() for game in GAMES],
        task=GAMES,
        seed=0,
        observations=[path(f"{game}.pixels") for game in GAMES],
        trajectories=[path(f"{game}.h5") for game in GAMES],
        policy=path("policy"),
        checkpoints=path("checkpoints"),
        curve=path("curve.csv"),
    )
    curve = pd.read_csv(path("curve.csv"))
    assert {f"held_out_accuracy_{game}" for game in GAMES} <= set(curve)
    acting = {"method": method.as_json(), "features": config.features["compact"].as_json()}
    acting |= {"seed": "0", "policy": str(path("policy"))}

    def evaluate(game: str, task: list[str]) -> None:
        limits = {"max_episode_steps": 12}
        run(
            evaluate_policy,
            **acting,
            environment=config.environment(game).as_json(),
            dataset=config.datasets[game].model_copy(update=limits).as_json(),
            trajectories=path(f"{game}.h5"),
            **({"task": task} if task else {}),
            episodes=path(f"{game}.csv"),
            run=path(f"{game}.json"),
        )

    for game in GAMES:
        evaluate(game, [game])
        told = json.loads(path(f"{game}.json").read_text())
        assert told["settings"]["trained_together"] == GAMES
        assert game in told["data_source"]
    for task in ([], ["qbert"]):
        with pytest.raises(SystemExit):
            evaluate("pong", task)

    runs = runs_of(config).where(table="two")
    places = {"runs": json.dumps(runs.places), "episodes": [], "run": []}
    for each in runs:
        kind = "random." if each.method == "random" else ""
        places["episodes"].append(path(f"{each.played}.{kind}csv"))
        places["run"].append(path(f"{each.played}.{kind}json"))
    run(gather_scores, **places, scores=path("scores.csv"))
    learned = runs.where(trained=True)
    benchmark = path("training.tsv")
    benchmark.write_text("s\tmax_rss\tcpu_time\n1.0\t2.0\t3.0\n")
    curves = {
        "scores": path("scores.csv"),
        "runs": json.dumps(learned.places),
        "curves": [path("curve.csv")] * len(learned),
        "trainings": [benchmark] * len(learned),
    }
    games = {game: config.environment(game).model_dump(mode="json") for game in GAMES}
    run(
        tabulate,
        **curves,
        name="two",
        table=config.table("two").as_json(),
        environments=json.dumps(games),
        scale="toy",
        published=ROOT / "resources" / "published_scores.csv",
        csv=path("two.csv"),
        across=path("across.csv"),
        markdown=path("two.md"),
    )
    table = pd.read_csv(path("two.csv"))
    rows = [(game, method) for game in GAMES for method in ("random", "multi_task_bc")]
    assert [*zip(table["dataset"], table["method"], strict=True)] == rows
    assert pd.read_csv(path("across.csv"))["games"].tolist() == [2]
    text = path("two.md").read_text()
    assert "Trained together: breakout, pong; one policy plays each of them" in text
    run(plot_training_curves, **curves, picture=path("curves.png"))
    run(list_runs, **{k: places[k] for k in ("runs", "run")}, page=path("runs.html"))
    assert "pong (trained on two)" in path("runs.html").read_text()


def test_random_play_beside_a_policy_of_several_is_that_of_the_game(config: Config) -> None:
    runs = runs_of(config).where(table="two")
    assert [(run.dataset, run.played, run.method, run.on) for run in runs] == [
        row
        for game in GAMES
        for row in ((game, game, "random", ""), ("two", game, "multi_task_bc", f"/on/{game}"))
    ]
    assert config.table("two") == TableConfig.model_validate(TABLE | {"datasets": GAMES})
