"""Data sets of several games in the configuration: whose settings their runs have, and mistakes."""

from pathlib import Path

import pytest
from configurations import CONFIG, copied, edit, lay, message

from pipeline.config import driver
from pipeline.config.load import load
from pipeline.config.methods import settings_class
from pipeline.config.runs import runs_of
from pipeline.errors import PipelineError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.mark.parametrize(
    ("together", "said"),
    [
        (["breakout", "pang"], "four_games.yaml: together: unknown dataset 'pang' .*'pong'"),
        (["pong", "pong"], "four_games.yaml: together: Value error, 'pong' is listed twice"),
        ([], "four_games.yaml: together: List should have at least 1 item"),
        (["four_games"], "four_games.yaml: together: four_games puts data sets together itself"),
        (["pong", "catch"], "environments of atari and catch; one policy plays games of one"),
        (["hopper_medium"], "environments of mujoco; one policy plays games of one family with di"),
    ],
)
def test_what_cannot_be_put_together_is_one_line(
    folder: Path, together: list[str], said: str
) -> None:
    edit(folder / "datasets" / "four_games.yaml", together=together)
    assert_says(folder, said)


def test_a_data_set_is_of_one_game_or_of_several(folder: Path) -> None:
    edit(folder / "datasets" / "four_games.yaml", source="recorded")
    assert_says(folder, r"four_games.yaml: source: unknown key 'source'; allowed: together")


def test_one_game_alone_may_have_the_outputs_of_several(folder: Path) -> None:
    edit(folder / "datasets" / "four_games.yaml", together=["pong"])
    assert load(folder / "config.yaml").parts("four_games") == ["pong"]


def test_a_table_of_several_games(folder: Path) -> None:
    game = {"methods": ["multi_task_bc"], "seeds": [0]}
    edit(folder / "config.yaml", tables={"t": {**game, "datasets": ["pong", "four_games"]}})
    assert_says(
        folder, r"tables.t.datasets: pong is in pong and in four_games; a table has rows by"
    )
    edit(folder / "config.yaml", tables={"t": {"datasets": ["four_games"], "methods": ["rem"]}})
    assert_says(
        folder,
        r"tables.t: rem, default, four_games: rem is trained on one game at a time; name one of "
        r"breakout, pong, qbert, seaquest, or a method of several: .*multi_task_bc",
    )


def test_settings_are_those_of_the_family_and_of_the_data_set() -> None:
    further = [
        {"where": {"environment": "pong"}, "training": {"steps": 3}},
        {"where": {"dataset": ["pong", "breakout"]}, "training": {"steps": 5}},
        {"where": {"dataset": "four_games"}, "training": {"batch_size": 7}},
    ]
    config = load(CONFIG / "config.yaml", {"settings": further})
    before = load(CONFIG / "config.yaml").method("multi_task_bc", dataset="four_games").training
    training = config.method("multi_task_bc", dataset="four_games").training
    assert training == before.model_copy(update={"batch_size": 7})
    assert before.steps != load(CONFIG / "config.yaml").method("multi_task_bc").training.steps


def test_every_game_of_a_run_is_played_and_reported() -> None:
    runs = runs_of(load(CONFIG / "config.yaml")).where(table="games", method="multi_task_bc")
    of_seed = runs.where(seed=1)
    games = ["breakout", "pong", "qbert", "seaquest"]
    assert [(run.dataset, run.played, run.on) for run in of_seed] == [
        ("four_games", game, f"/on/{game}") for game in games
    ]
    assert [place["dataset"] for place in of_seed.places] == games
    assert {place["together"] for place in of_seed.places} == {"four_games"}
    assert [(run.played, run.seed) for run in runs.where(shown=True)] == [(g, 0) for g in games]


def test_what_is_played_is_told_by_the_folder() -> None:
    parts = ["pong", "qbert"]
    assert driver.played("pong", None, "") == "pong"
    assert driver.played("both", parts, "/on/qbert") == "qbert"
    for told, said in (
        (("both", parts, ""), r"both is several games; name one .*: on/pong, on/qbert"),
        (("both", parts, "/on/seaquest"), r"both was not trained on seaquest; name one"),
        (("pong", None, "/on/pong"), r"pong is one game; leave out /on/pong"),
    ):
        with pytest.raises(PipelineError, match=said):
            driver.played(*told)


def assert_says(folder: Path, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        load(folder / "config.yaml")
    assert message(folder / "config.yaml")


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("four_game/multi_task_bc/default", r"unknown dataset 'four_game' .*'four_games'"),
        ("pong/multi_task_bc/deflt", r"unknown variant 'deflt' .*'default'"),
        ("pong/behaviour_cloning/default", "weights of behaviour_cloning do not fit multi_task_bc"),
        ("four_games/multi_task_bc/default/seed-3", "a run cannot begin with itself; name another"),
    ],
)
def test_a_run_that_another_begins_with_has_to_be_one(folder: Path, run: str, said: str) -> None:
    weights = {"policy": {"initial_weights": f"run:{run}"}}
    where = {"method": "multi_task_bc", "dataset": "four_games"}
    lay(folder / "config.yaml", {"where": where, **weights})
    assert_says(folder, f"multi_task_bc, default, four_games: policy.initial_weights: {said}")


def test_a_run_that_another_begins_with_may_have_a_seed_of_its_own(folder: Path) -> None:
    for said, seed in (("run:pong/multi_task_bc/default", None), ("run:a/b/c/seed-3", 3)):
        settings = settings_class("multi_task_bc")(initial_weights=said)
        assert settings.first_run is not None
        assert settings.first_run.seed == seed
    assert settings_class("multi_task_bc")().first_run is None
    lay(folder / "config.yaml", of_games("run:pong"))
    assert_says(folder, "policy.initial_weights")


def of_games(weights: str) -> dict[str, object]:
    return {"where": {"method": "multi_task_bc"}, "policy": {"initial_weights": weights}}
