"""What had become an error of Snakemake in many lines, or one that did not say what is allowed."""

import re
from pathlib import Path
from typing import Any

import pytest
from configurations import copied, edit, lay, message, one_table

from pipeline.config.checks import TAKEN
from pipeline.config.load import load

RULES = Path(__file__).parents[3] / "rules"
TABLE = {"datasets": ["pong"], "methods": ["behaviour_cloning"], "seeds": [0]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def test_a_table_reports_other_seeds_than_the_one_that_a_rule_is_chosen_with(folder: Path) -> None:
    chosen = {"choose_from": [{"temperature": 0.0}, {"temperature": 1.0}], "choosing_seed": 7}
    where = {"method": "behaviour_cloning", "dataset": "pong"}
    lay(folder / "config.yaml", {"where": where, "evaluation": chosen})
    one_table(folder / "config.yaml", **{**TABLE, "seeds": [0, 7]})
    assert message(folder / "config.yaml") == (
        "config/config.yaml: tables.t.seeds: 7 is evaluation.choosing_seed, with which a rule for "
        "actions is chosen; a table reports other seeds"
    )


def test_runs_that_begin_with_each_other(folder: Path) -> None:
    def begins(variant: str, other: str) -> None:
        first = f"run:pong/{{method}}/{other}"
        edit(folder / "variants" / f"{variant}.yaml", policy={"initial_weights": first})

    begins("one", "two")
    begins("two", "three")
    one_table(folder / "config.yaml", **TABLE, variants=["one"])
    begins("three", "default")
    assert load(folder / "config.yaml")
    begins("three", "two")
    assert message(folder / "config.yaml") == (
        "config/config.yaml: tables.t: behaviour_cloning, one, pong: policy.initial_weights: "
        "pong/two and pong/three begin with each other; name another in one"
    )
    begins("three", "three")
    assert message(folder / "config.yaml").endswith("a run cannot begin with itself; name another")
    begins("two", "thre")
    assert "initial_weights: unknown variant 'thre'" in message(folder / "config.yaml")


@pytest.mark.parametrize("name", ["costs", "planning_cost", "horizon_accuracy", "README"])
def test_a_table_is_not_called_as_a_file_of_the_workflow(folder: Path, name: str) -> None:
    edit(folder / "config.yaml", tables={name: TABLE})
    expected = f"config/config.yaml: tables: '{name}' cannot be a table's name: results/{name} is a"
    assert message(folder / "config.yaml").startswith(expected)


def test_these_are_the_files_of_the_rules() -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in RULES.glob("*.smk"))
    assert {*re.findall(r'"results/([^/{}"]+)\.\w+"', rules), "README"} == TAKEN


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"hardware": {"device": "gpu"}},
            "hardware.device: 'gpu'; allowed: auto, cpu, cuda, cuda",
        ),
        (
            {"settings": [{"evaluation": {"target_return": "best"}}]},
            "evaluation.target_return: 'best'; allowed: a number, data_max or data_mean",
        ),
        (
            {"settings": [{"policy": {"initial_weights": "best"}}]},
            "policy.initial_weights: 'best'; allowed: random, language_model or run:<dataset>/<met",
        ),
    ],
)
def test_what_is_allowed_is_said_in_words(folder: Path, changes: dict[str, Any], said: str) -> None:
    edit(folder / "config.yaml", **changes)
    assert said in message(folder / "config.yaml")


def test_a_file_that_would_not_be_read(folder: Path) -> None:
    (folder / "variants" / "two.yml").write_text("policy: {width: 64}\n", encoding="utf-8")
    expected = "config/variants/two.yml: rename it to two.yaml"
    assert message(folder / "config.yaml") == expected


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "datasets/mine",
            {"enviroment": "catch", "source": "scripted"},
            "enviroment: unknown key 'enviroment' (did you mean 'environment'?)",
        ),
        ("environments/mine", {"family": "atari", "gmae": "Pong"}, "gmae: unknown key 'gmae'"),
    ],
)
def test_a_misspelt_key_is_said_before_the_one_that_it_leaves_out(
    folder: Path, file: str, content: dict[str, Any], said: str
) -> None:
    edit(folder / f"{file}.yaml", **content)
    assert message(folder / "config.yaml").startswith(f"config/{file}.yaml: {said}")


def test_a_misspelt_key_of_a_new_table(folder: Path) -> None:
    edit(folder / "config.yaml", tables={"t": {"seeds": [0]}})
    found = message(folder / "config.yaml")
    assert "tables.t: unknown table 't'; allowed: " in found
    assert found.count("table1,") == 1
    edit(folder / "config.yaml", tables={"t": {"dataset": ["pong"]}})
    found = message(folder / "config.yaml")
    assert found.startswith("config/config.yaml: tables.t: unknown key 'dataset' (did you mean")
