"""Two Atari games with other actions, from their recordings to a table: one policy plays both."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from command_line import words
from safetensors.torch import load_file

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
OF_A_GAME = ("encoder.mean", "encoder.std")
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


def run(stage: Stage, **options: object) -> None:
    execute(stage, words(**options))


class Project:
    """The stages' files in a folder."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.method = config.method("multi_task_bc", dataset="two")

    def path(self, name: str) -> Path:
        return self.folder / name

    def game(self, game: str, **limits: int) -> dict[str, str]:
        """What stages are told of a game, whose episodes are short."""
        limits["max_episode_steps"] = 12
        dataset = self.config.datasets[game].model_copy(update=limits)
        return {
            "environment": self.config.environment(game).as_json(),
            "dataset": dataset.as_json(),
        }

    def record(self, game: str) -> None:
        told, data = self.game(game, max_episodes=3), self.path(f"{game}.h5")
        frames = self.path(f"{game}.frames")
        recorded = {**told, "resources": str(ROOT / "resources"), "trajectories": data}
        run(collect_trajectories, **recorded)
        run(render_frames, **recorded, frames=frames)
        run(shrink_frames, frames=frames, pixels=self.path(f"{game}.pixels"))
        run(
            evaluate_random,
            **told,
            evaluation=self.method.evaluation.as_json(),
            seed=0,
            trajectories=data,
            episodes=self.path(f"{game}.random.csv"),
            run=self.path(f"{game}.random.json"),
        )

    def train(self, games: Sequence[str] = GAMES, name: str = "", **begun: object) -> None:
        """Write `name`policy and what belongs to it."""
        run(
            train_policy,
            method=self.method.trained().as_json(),
            environment=[self.config.environment(game).as_json() for game in games],
            task=[*games],
            seed=0,
            observations=[self.path(f"{game}.pixels") for game in games],
            trajectories=[self.path(f"{game}.h5") for game in games],
            policy=self.path(f"{name}policy"),
            checkpoints=self.path(f"{name}checkpoints"),
            curve=self.path(f"{name}curve.csv"),
            **begun,
        )

    def evaluate(self, game: str, *task: str) -> None:
        run(
            evaluate_policy,
            **self.game(game),
            method=self.method.as_json(),
            features=self.config.features["compact"].as_json(),
            seed=0,
            policy=self.path("policy"),
            trajectories=self.path(f"{game}.h5"),
            **({"task": [*task]} if task else {}),
            episodes=self.path(f"{game}.csv"),
            run=self.path(f"{game}.json"),
        )

    def tell(self) -> None:
        """The table, the curves, and the list of runs."""
        runs = runs_of(self.config).where(table="two")
        names = [f"{r.played}.{'random.' if r.method == 'random' else ''}" for r in runs]
        files = {"run": [self.path(f"{name}json") for name in names]}
        listed = {"runs": json.dumps(runs.places), **files}
        episodes = [self.path(f"{name}csv") for name in names]
        run(gather_scores, **listed, episodes=episodes, scores=self.path("scores.csv"))
        learned, benchmark = runs.where(trained=True), self.path("training.tsv")
        benchmark.write_text("s\tmax_rss\tcpu_time\n1.0\t2.0\t3.0\n")
        curves = {
            "scores": self.path("scores.csv"),
            "runs": json.dumps(learned.places),
            "curves": [self.path("curve.csv")] * len(learned),
            "trainings": [benchmark] * len(learned),
        }
        games = {game: self.config.environment(game).model_dump(mode="json") for game in GAMES}
        run(
            tabulate,
            **curves,
            name="two",
            table=self.config.table("two").as_json(),
            environments=json.dumps(games),
            scale="toy",
            published=ROOT / "resources" / "published_scores.csv",
            csv=self.path("two.csv"),
            across=self.path("across.csv"),
            markdown=self.path("two.md"),
        )
        run(plot_training_curves, **curves, picture=self.path("curves.png"))
        run(list_runs, **listed, page=self.path("runs.html"))


@pytest.fixture(scope="module")
def project(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Both games recorded, and one policy trained on them."""
    made = Project(config, tmp_path_factory.mktemp("project"))
    for game in GAMES:
        made.record(game)
    made.train()
    return made


def test_one_policy_plays_both_games_and_a_table_tells_of_each(project: Project) -> None:
    curve = pd.read_csv(project.path("curve.csv"))
    assert {f"held_out_accuracy_{game}" for game in GAMES} <= set(curve)
    for game in GAMES:
        project.evaluate(game, game)
        told = json.loads(project.path(f"{game}.json").read_text())
        assert told["settings"]["trained_together"] == GAMES
        assert game in told["data_source"]
    for task in ([], ["qbert"]):
        with pytest.raises(SystemExit):
            project.evaluate("pong", *task)
    project.tell()
    table = pd.read_csv(project.path("two.csv"))
    rows = [(game, method) for game in GAMES for method in ("random", "multi_task_bc")]
    assert [*zip(table["dataset"], table["method"], strict=True)] == rows
    assert pd.read_csv(project.path("across.csv"))["games"].tolist() == [0]
    text = project.path("two.md").read_text()
    for game in GAMES:  # in so few steps nobody scores
        assert f"{game}: the data are no better on average than random play" in text
    assert "Trained together: breakout, pong; one policy plays each of them" in text
    assert "pong (trained on two)" in project.path("runs.html").read_text()


def test_a_training_begins_with_the_policy_that_it_is_given(
    project: Project, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an update it is that policy, but for what each game has of its own."""
    first = load_file(project.path("policy"))
    monkeypatch.setattr(project, "method", config.method("multi_task_bc", "zero_shot", "two"))
    project.train(GAMES[1:], "begun.", first_policy=project.path("policy"))
    begun = load_file(project.path("begun.policy"))
    assert begun.keys() == first.keys()
    for name, tensor in begun.items():
        own = first[name][1:] if name in ("game.weight", *OF_A_GAME) else first[name]
        assert torch.equal(tensor, own), name
    with pytest.raises(SystemExit):  # without the policy
        project.train(GAMES[1:], "other.")


def test_random_play_beside_a_policy_of_several_is_that_of_the_game(config: Config) -> None:
    runs = runs_of(config).where(table="two")
    assert [(run.dataset, run.played, run.method, run.on) for run in runs] == [
        row
        for game in GAMES
        for row in ((game, game, "random", ""), ("two", game, "multi_task_bc", f"/on/{game}"))
    ]
    assert config.table("two") == TableConfig.model_validate(TABLE | {"datasets": GAMES})
