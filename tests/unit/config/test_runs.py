"""The table of runs: what is in it, in which order, and how it is asked."""

from pathlib import Path

import pytest

from pipeline.config.load import load
from pipeline.config.runs import Runs, runs_of
from pipeline.config.section import merge
from pipeline.config.table import TableConfig
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runs() -> Runs:
    return runs_of(load(ROOT / "config" / "toy.yaml"))


def test_a_table_begins_with_random_play(runs: Runs) -> None:
    of_table = runs.where(table="table1", dataset="catch")
    methods = ("random", "more3s", "decision_transformer", "behaviour_cloning")
    expected = [(method, seed) for method in methods for seed in (0, 1)]
    assert [(run.method, run.seed) for run in of_table] == expected
    assert not any(run.trained for run in of_table.where(method="random"))
    assert len(of_table.where(trained=True)) == 6


def test_all_values_count(runs: Runs) -> None:
    assert runs.where(table="table1", method="more3s", seed=1) == runs.where(
        table="table1", method="more3s"
    ).where(seed=1)
    assert runs.where(method="nothing") == ()
    with pytest.raises(AttributeError):
        runs.where(colour="red")


def test_a_run_of_two_tables_is_one_place(runs: Runs) -> None:
    default = runs.where(method="more3s", variant="default", seed=0)
    assert {run.table for run in default} == {"table1", "table5", "figure3"}
    assert len(default.places) == 1
    assert default.places[0] == {
        **{"dataset": "catch", "method": "more3s"},
        **{"variant": "default", "seed": 0},
    }


def test_the_first_of_each_method_is_shown(runs: Runs) -> None:
    shown = runs.where(shown=True)
    assert [(run.table, run.method, run.seed) for run in shown] == [
        ("table1", method, 0) for method in ("more3s", "decision_transformer", "behaviour_cloning")
    ]
    assert [run.method for run in runs.where(swept=True)] == ["more3s", "decision_transformer"]


def test_what_differs_only_in_play_is_not_trained_again() -> None:
    runs = runs_of(load(ROOT / "config" / "config.yaml"))
    played = {run.variant: run.trained_as for run in runs.where(table="sticky", trained=True)}
    assert played == {"default": "default", "sticky": "default"}
    for run in runs.where(table="table3", trained=True):
        assert run.trained_as == run.variant


def test_the_same_run_in_two_tables_is_kept_once(runs: Runs) -> None:
    default = runs.where(method="more3s", variant="default", seed=0)
    assert [run.table for run in default.distinct] == ["table1"]


def test_what_a_run_is_made_from(runs: Runs) -> None:
    default, synonym = runs.where(table="table5", trained=True)
    assert (default.variant, synonym.variant) == ("default", "synonym_prompts")
    assert default.features == default.encoder == default.regions == "toy"
    assert synonym.features == synonym.encoder == "toy-prompt_set=synonym"
    assert synonym.regions == "toy"  # they do not depend on prompts
    pixels = runs.where(method="behaviour_cloning")
    assert {(run.observation, run.from_cache, run.features) for run in pixels} == {
        ("pixels", False, None)
    }


def test_checkpoints_are_of_the_tables_that_ask_for_them(runs: Runs) -> None:
    played = runs.where(checkpoints=True)
    assert {run.table for run in played} == {"figure3"}
    assert {run.language_model for run in played} == {None, "toy"}


def test_the_seed_that_a_rule_is_chosen_with_is_in_no_table(runs: Runs) -> None:
    assert {run.method for run in runs.where(chooses=True)} == {"behaviour_cloning"}
    with pytest.raises(PipelineError, match=r"tables\.table1\.seeds: 1000 is evaluation\.choosing"):
        load(ROOT / "config" / "toy.yaml", {"tables": {"table1": {"seeds": [0, 1000]}}})


def test_variants_that_only_play_differently_share_a_training() -> None:
    config = load(ROOT / "config" / "config.yaml")
    runs = runs_of(config)
    planners = runs.where(table="planners", trained=True)
    assert {run.variant for run in planners} == {"default", "sampled", "greedy"}
    assert {run.trained_as for run in planners} == {"default"}
    assert {run.trained_as for run in runs.where(table="warm_start", trained=True)} == {"default"}
    shared = runs.where(table="table4", method="more3s", variant="full_memory")
    assert {run.trained_as for run in shared} == {"full_memory"}  # it learns from other windows
    assert config.trained_as("mbop", "mbop_prior", "hopper_medium") == "default"
    assert config.trained_as("diffuser", "warm_start_1", "hopper_medium") == "default"
    assert runs.where(method="random")[0].trained_as is None


def test_variants_that_repeat_each_other_share_one_training() -> None:
    """Also where the file of one that repeats another comes first."""
    wide = {"policy": {"width": 64}}
    far = merge(wide, {"policy": {"planner": {"horizon": 8}}})
    noisy = merge(far, {"policy": {"planner": {"noise": 0.2}}})
    variants = {"default": {}, "far": far, "noisy": noisy, "wide": wide}
    config = load(ROOT / "config" / "config.yaml").model_copy(update={"variants": variants})
    for variant in ("far", "noisy", "wide"):
        assert config.trained_as("mbop", variant, "hopper_medium") == "wide"


def test_a_variant_with_a_model_is_asked_how_far_ahead_it_is_right() -> None:
    """The first of each method that has one, whichever variant the report shows."""
    table = {
        "datasets": ["pong"],
        "methods": ["more3s", "jowa"],
        "variants": ["default", "planned"],
    }
    changed = {"table1": {**table, "seeds": [3, 4]}}
    runs = runs_of(load(ROOT / "config" / "config.yaml", {"tables": changed})).where(table="table1")
    asked = [(run.method, run.variant, run.seed) for run in runs.where(predicting=True)]
    assert asked == [("more3s", "planned", 3)]
    trained = {(run.method, run.variant): run.trained_as for run in runs if run.trained}
    assert trained["more3s", "planned"] == "unplanned"  # not the default's: it trains the model
    assert trained["jowa", "planned"] == "default"


def test_a_method_stands_beside_in_a_variant_of_its_own() -> None:
    table = TableConfig(
        datasets=["hopper_medium"],
        methods=["more3s"],
        variants=["default", "image_only"],
        beside=["bear", "bear/behaviour_phase"],
        seeds=[0],
    )
    of_its_own = [("bear", "default"), ("bear", "behaviour_phase")]
    assert table.rows == [("more3s", "default"), ("more3s", "image_only"), *of_its_own]
    with pytest.raises(ValueError, match="listed twice"):
        table.model_validate(table.model_dump() | {"beside": ["bear", "bear/default"]})
