"""Seeds that play would refuse are refused when the configuration is read."""

from pathlib import Path
from typing import Any

import pytest
from configurations import copied, edit, lay, message, one_table

from pipeline.config.load import load

RULES = [{"temperature": 0.0}, {"temperature": 1.0}]
LAST = 2**31 - 1
METHOD = "behaviour_cloning"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one table alone."""
    folder = copied(tmp_path)
    one_table(folder / "config.yaml", datasets=["pong"], methods=[METHOD], seeds=[0])
    return folder


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        (
            {"choose_from": RULES, "choosing_seed": 3_000_000},
            "evaluation.choosing_seed: seed 3000000: 5 episodes would be reset with 3,000,010,000 "
            "and more; environments take 0 to 2,147,483,647; allowed: seeds from 0 to 2,147,473 ",
        ),
        (
            {"first_seed": LAST - 647, "checkpoint_episodes": 900},
            "evaluation: seed 0: 900 episodes would be reset with 2,147,483,000 and more; "
            "environments take 0 to 2,147,483,647; lower evaluation.first_seed 2,147,483,000",
        ),
    ],
)
def test_of_a_method(folder: Path, evaluation: dict[str, Any], said: str) -> None:
    lay(folder / "config.yaml", {"where": {"method": METHOD}, "evaluation": evaluation})
    place = "config/config.yaml: tables.t: behaviour_cloning, default, pong: "
    assert message(folder / "config.yaml").startswith(place + said)


def test_of_random_play(folder: Path) -> None:
    others = {"where": {"method": METHOD}, "evaluation": {"first_seed": 10_000}}
    lay(folder / "config.yaml", {"evaluation": {"first_seed": LAST}}, others)
    said = "config/config.yaml: tables.t: random play, pong: evaluation: seed 0: 10 episodes would"
    assert message(folder / "config.yaml").startswith(said)


@pytest.mark.parametrize("key", ["sweep", "timing"])
def test_of_more_episodes_that_are_played_beside(folder: Path, key: str) -> None:
    first = {"evaluation": {"first_seed": LAST - 99, "episodes": 100}}
    lay(folder / "config.yaml", first)
    assert load(folder / "config.yaml")
    edit(folder / "config.yaml", **{key: {"episodes": 101}})
    assert "seed 0: 101 episodes would be reset" in message(folder / "config.yaml")


def test_of_a_training_whatever_play_begins_with(folder: Path) -> None:
    lay(folder / "config.yaml", {"evaluation": {"first_seed": 0}})
    edit(folder / "config.yaml", tables={"t": {"seeds": [2_147_473]}})
    assert load(folder / "config.yaml")
    edit(folder / "config.yaml", tables={"t": {"seeds": [2_147_474]}})
    assert "seed 2147474: 10 episodes would be reset" in message(folder / "config.yaml")


def test_one_that_nothing_is_chosen_with_is_not_checked(folder: Path) -> None:
    lay(folder / "config.yaml", {"evaluation": {"choosing_seed": 3_000_000}})
    assert load(folder / "config.yaml")
