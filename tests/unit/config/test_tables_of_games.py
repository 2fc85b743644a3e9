"""The tables of several games in the default configuration: which runs they have, and why."""

from functools import cache
from typing import Any

from configurations import CONFIG

from pipeline.config.experiment import Config
from pipeline.config.load import load
from pipeline.config.runs import Runs, runs_of

GAMES = ["breakout", "pong", "qbert", "seaquest"]


@cache
def config() -> Config:
    return load(CONFIG / "config.yaml")


@cache
def runs() -> Runs:
    return runs_of(config())


def rows_of(table: str) -> list[tuple[str, str]]:
    """(variant, the one whose training it plays), of the first seed and game."""
    first = runs().where(
        table=table, trained=True, seed=0, played=config().table(table).datasets[0]
    )
    return [(run.variant, str(run.trained_as)) for run in first]


def changed(variant: str) -> dict[str, Any]:
    """What JOWA's policy has otherwise than by default."""
    plain, other = (
        config().method("jowa", name, "four_games").policy.model_dump()
        for name in ("default", variant)
    )
    return {key: value for key, value in other.items() if value != plain[key]}


def test_one_policy_of_each_method_is_played_on_each_of_four_games() -> None:
    assert config().table("games").datasets == GAMES
    played = runs().where(table="games", trained=True, seed=1)
    assert {run.dataset for run in played} == {"four_games"}
    methods = {"jowa", "multi_task_bc", "multi_game_dt", "elastic_dt", "scaled_ql"}
    assert {run.method for run in played} == methods
    assert rows_of("games")[:2] == [("default", "default"), ("planned", "default")]


def test_a_game_that_was_left_out_is_begun_with_the_policy_of_the_others() -> None:
    assert rows_of("few_shot")[:3] == [
        (name, name) for name in ("default", "fine_tuned", "zero_shot")
    ]
    left_out = {config().datasets[part].environment for part in config().table("few_shot").datasets}
    known = {config().datasets[part].environment for part in config().parts("three_games")}
    assert left_out | known == set(GAMES)
    assert not left_out & known
    assert config().datasets["qbert_5000"].max_steps == 5000
    for method in ("jowa", "multi_task_bc"):
        scratch, tuned, zero = (
            config().method(method, variant, "qbert_left_out")
            for variant in ("default", "fine_tuned", "zero_shot")
        )
        assert scratch.policy.first_run is None
        assert (
            tuned.policy.first_run
            == zero.policy.first_run
            == ("three_games", method, "default", None)
        )
        assert tuned.training == scratch.training
        assert zero.training.steps == 0


def test_each_size_of_jowa_is_trained_once_and_plays_twice() -> None:
    assert dict(rows_of("figure_scaling")) == {
        **{"narrow": "narrow", "narrow_planned": "narrow", "default": "default"},
        **{"planned": "default", "wide": "wide", "wide_planned": "wide"},
    }
    assert config().trained_as("multi_task_bc", "planned", "four_games") == "default"
    widths = [
        config().method("jowa", v, "four_games").policy.width for v, _ in rows_of("figure_scaling")
    ]
    assert widths == [64, 64, 128, 128, 256, 256]


def test_fifteen_games_at_the_sizes_that_were_published() -> None:
    paper, whole = load(CONFIG / "paper_games.yaml"), load(CONFIG / "paper.yaml")
    for method, _ in paper.tables["games"].rows:
        told = (method, "default", "fifteen_games")
        assert paper.method(*told) == whole.method(*told)
    played = runs_of(paper).where(table="games", trained=True, seed=0, variant="planned")
    assert len({run.played for run in played}) == 15
    for run in played:
        game = paper.environment(run.played)
        assert game.random_score < game.reference_score
        assert paper.datasets[run.played].file == f"dqn_replay/{game.game}/1/replay_logs"
        assert (
            game.wording == f"prompts/{'seaquest' if game.game == 'Seaquest' else 'console'}.yaml"
        )
    sizes = {}
    for run in runs_of(paper).where(table="figure_scaling", trained=True, seed=0):
        policy = paper.method(run.method, run.variant, run.dataset).policy
        sizes[run.variant] = (policy.width, policy.layers, policy.heads, policy.planned_steps)
    assert sizes == {
        **{"jowa_40m": (512, 4, 8, 0), "jowa_40m_planned": (512, 4, 8, 2)},
        **{"jowa_70m": (768, 6, 12, 0), "jowa_70m_planned": (768, 6, 12, 2)},
        **{"default": (768, 12, 12, 0), "planned": (768, 12, 12, 2)},
    }


def test_a_component_of_jowa_is_one_switch() -> None:
    assert {variant: changed(variant) for variant, _ in rows_of("jowa_components")[1:]} == {
        "no_cql": {"conservative_weight": 0},
        "no_world_loss": {"world_loss_weight": 0},
        "detached_values": {"joint": False},
        "squared_values": {"value_loss": "squared"},
        "no_task_embedding": {"task_embedding": False},
    }
    assert all(variant == trained_as for variant, trained_as in rows_of("jowa_components"))
